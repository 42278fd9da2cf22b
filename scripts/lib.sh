# What the scripts share. Sourced, never run.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

BOLD='' DIM='' RED='' GREEN='' OFF=''
if [ -t 2 ]; then
  BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' GREEN=$'\e[32m' OFF=$'\e[0m'
fi

say() { printf '%s==>%s %s\n' "$BOLD" "$OFF" "$*" >&2; }
hint() { printf '    %s%s%s\n' "$DIM" "$*" "$OFF" >&2; }
die() {
  printf '%serror:%s %s\n' "$RED" "$OFF" "$1" >&2
  shift
  for line in "$@"; do printf '  help: %s\n' "$line" >&2; done
  exit 1
}

# Runs a command as root, or says how.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
    die "this needs root: $*" "run it as root, then start this script again"
  fi
}

# need_packages PACKAGE... : installs those Debian packages that are not there.
need_packages() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  command -v apt-get >/dev/null || die "these are missing: ${missing[*]}" "install them with your package manager"
  say "Installing Debian packages: ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

need_rust() {
  command -v cargo >/dev/null || die "there is no Rust here" "install Rust 1.89 or newer: https://rustup.rs"
}

# Where the built bitcoind is kept: see regtest/src/bitcoind.rs.
bitcoind_cached() {
  [ -n "${BITCOIND:-}" ] || command -v bitcoind >/dev/null ||
    [ -x "${XDG_CACHE_HOME:-$HOME/.cache}/satchel/bitcoind-0.4.1/bin/bitcoind" ]
}

# What building the program needs, and bitcoind once.
need_build_tools() {
  need_rust
  local packages=(build-essential pkg-config curl jq ca-certificates)
  bitcoind_cached || packages+=(cmake libboost-dev libevent-dev)
  need_packages "${packages[@]}"
}
