# What the findings share: a temporary folder that goes away with what was started in it, pinned packages by their
# ordinary clients, and the comparison of what was seen with what is expected.
set -euo pipefail

folder=$(mktemp -d)
started=()
finish() {
    for process in "${started[@]}"; do
        kill "$process" 2>/dev/null && wait "$process" 2>/dev/null || true
    done
    rm -rf "$folder"
}
trap finish EXIT
cd "$folder"

# Debian packages, as name=version, unpacked in this folder and not installed.
debian() {
    for package in "$@"; do
        apt-get -qq -o APT::Sandbox::User=root download "$package" || {
            echo "$package is not to be had any more: this finding is of that version alone" >&2
            exit 1
        }
    done
    for archive in ./*.deb; do
        dpkg -x "$archive" .
    done
    export LD_LIBRARY_PATH="$folder/usr/lib/x86_64-linux-gnu:$folder/lib/x86_64-linux-gnu"
    export PATH="$folder/usr/bin:$folder/usr/sbin:$PATH"
}

# Python packages, as name==version, in an environment of their own.
python_packages() {
    python3 -m venv python
    python/bin/pip --quiet --disable-pip-version-check install "$@"
}

# Packages for Node.js, as name@version.
node_packages() {
    npm install --silent --no-audit --no-fund --no-save --prefix . "$@"
}

# A Rust program from standard input, with the dependencies given as lines of its Cargo.toml.
rust_program() {
    mkdir -p src
    cat >src/main.rs
    {
        printf '[package]\nname = "finding"\nversion = "0.0.0"\nedition = "2024"\n\n[dependencies]\n'
        printf '%s\n' "$@"
    } >Cargo.toml
    CARGO_TARGET_DIR="$folder/target" nice -n 10 cargo build --quiet
}

# A port that nothing listens on.
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Waits until something listens on the port.
listening() {
    for _ in $(seq 100); do
        (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.1
    done
    echo "nothing listens" >&2
    exit 1
}

# Compares what was seen ($1) with what is expected (standard input).
expect() {
    local expected
    expected=$(cat)
    if [ "$1" != "$expected" ]; then
        printf 'not as it was seen. Expected:\n%s\nSeen now:\n%s\n' "$expected" "$1" >&2
        exit 1
    fi
    printf '%s\n' "$1"
}
