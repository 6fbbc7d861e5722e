//! The crypto layer against the `openssl` command: what one makes, the other takes.

mod stock_tool;
