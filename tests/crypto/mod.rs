//! The crypto layer against the `openssl` command: what one makes, the other takes.

mod modern;
mod stock_tool;
