# Sourced by ./check and ./quickstart: what is needed of the system, and getting it.

BUILD_PACKAGES=(build-essential meson ninja-build pkg-config libfuse3-dev libglib2.0-dev libdeflate-dev
  nettle-dev libjson-glib-dev fuse3)

if [ -t 1 ]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
  bold= dim= red= green= plain=
fi

say () { printf '%s\n' "$*"; }
die () { printf '%s%s%s\n' "$red" "$*" "$plain" >&2; exit 1; }

# Packages of "$@" that are not installed.
missing_packages () {
  local name
  for name; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || printf '%s ' "$name"
  done
}

as_root () {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "root is needed for: $*
Run that as root, then start this again."
  fi
}

# Installs those of "$@" that are missing, saying so first. Elsewhere than on Debian and Ubuntu it
# checks only that the tools to build with are there.
install_packages () {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    local program
    for program in cc meson ninja pkg-config fusermount3; do
      command -v "$program" >/dev/null ||
        die "$program is not here. README.md names the packages to install on this distribution."
    done
    return
  fi
  local missing
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  say "Installing ${missing% } (apt-get$([ "$(id -u)" = 0 ] || echo ', with sudo'))"
  local log
  log=$(mktemp)
  # shellcheck disable=SC2086  # a list of names
  if ! { as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
         as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
       } >"$log" 2>&1 </dev/null; then
    tail -n 15 "$log" >&2
    rm -f "$log"
    die "apt-get could not install: ${missing% }"
  fi
  rm -f "$log"
}

# configure DIRECTORY [meson options]: sets up a build directory, again when it is of no use.
configure () {
  local directory=$1 log
  shift
  [ -f "$directory/build.ninja" ] && return 0
  log=$(mktemp)
  if ! meson setup "$directory" "$@" >"$log" 2>&1 </dev/null &&
     ! meson setup --wipe "$directory" "$@" >"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    rm -f "$log"
    die "meson could not set up $directory"
  fi
  rm -f "$log"
}
