#!/usr/bin/env bash
# Guess: the usage line that clap prints with an error is the command's usage line, as help shows it.
# Found: options that were typed before the mistake stand in it without brackets, as if the command demanded them, and `[OPTIONS]` is gone:
#        who typed `tool --json --nonsense` reads that `tool --json [NAME]` is the way.
# Version: clap 4.6.9, 2026-12-01. Output seen:
#   help:     Usage: tool [OPTIONS] [NAME]
#   mistake:  Usage: tool --server <SERVER> --json [NAME]
#   nothing typed before it:  Usage: tool [OPTIONS] [NAME]
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
export CARGO_TARGET_DIR="$place/target"
cat > Cargo.toml <<'TOML'
[package]
name = "usage"
version = "0.0.0"
edition = "2021"

[dependencies]
clap = { version = "=4.6.9", features = ["derive"] }
TOML
mkdir src
cat > src/main.rs <<'RUST'
use clap::{CommandFactory, Parser};

#[derive(Parser)]
#[command(name = "tool")]
struct Tool {
    #[arg(long)]
    json: bool,
    #[arg(long)]
    server: Option<String>,
    name: Option<String>,
}

fn usage_of_mistake(words: &[&str]) -> String {
    let error = Tool::try_parse_from(words).map(|tool| (tool.json, tool.server, tool.name)).unwrap_err().to_string();
    error.lines().find(|line| line.starts_with("Usage")).unwrap().to_owned()
}

fn main() {
    println!("{}", Tool::command().render_usage());
    println!("{}", usage_of_mistake(&["tool", "--server", "a", "--json", "--nonsense"]));
    println!("{}", usage_of_mistake(&["tool", "--nonsense"]));
}
RUST
seen=$(cargo run --quiet)
expected='Usage: tool [OPTIONS] [NAME]
Usage: tool --server <SERVER> --json [NAME]
Usage: tool [OPTIONS] [NAME]'
echo "$seen"
[ "$seen" = "$expected" ] || { echo 'This has changed.' >&2; exit 1; }
