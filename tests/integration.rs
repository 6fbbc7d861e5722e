//! Tests that run the programs and scripts as people do, in one binary.

mod scripts;
