//! Files that survive a crash and that nobody else can read.
