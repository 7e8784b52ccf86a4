#!/usr/bin/env bash
# Installs the Debian packages that the tests need and this machine lacks; the demo needs none of them.
#
# Installs as root with apt-get; otherwise says which packages to install and ends with 1. Servers
# that come with a package are not started: the tests start their own, on ports of their own.
set -euo pipefail

# A program that is looked for, and the package that brings it.
needed=(
  "redis-server redis-server"
  "openssl openssl"
)

say() { printf 'packages: %s\n' "$*"; }
missing() {
  local program package
  for entry in "${needed[@]}"; do
    read -r program package <<<"$entry"
    command -v "$program" >/dev/null || printf '%s ' "$package"
  done
}

read -ra packages <<<"$(missing)"
[ "${#packages[@]}" -gt 0 ] || exit 0
give_up() {
  printf 'packages: error: %s\n' "$1" >&2
  printf 'packages:   Debian, Ubuntu: sudo apt-get install %s\n' "${packages[*]}" >&2
  printf 'packages:   until then the tests that need them fail; nothing else does\n' >&2
  exit 1
}
[ "$(id -u)" = 0 ] || give_up "the tests need ${packages[*]}, and only root may install packages"
command -v apt-get >/dev/null || give_up "the tests need ${packages[*]}, and there is no apt-get to install them with"

# The tests want the program, not a server that starts with the machine.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
say "installing ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
install() { timeout 300 apt-get install --yes --no-install-recommends "${packages[@]}" >/dev/null 2>&1; }
# The lists of a fresh image are empty, those of an old one name versions that are gone.
install || { timeout 300 apt-get update >/dev/null 2>&1 && install; } ||
  give_up "apt-get could not install ${packages[*]}"
[ -z "$(missing)" ] || give_up "${packages[*]} were installed, but $(missing)is still not there"
say "done"
#!/usr/bin/env bash
# Installs the Debian packages that the tests need and this machine lacks; the demo needs none of them.
#
# Installs as root with apt-get; otherwise says which packages to install and ends with 1. Servers
# that come with a package are not started: the tests start their own, on ports of their own.
set -euo pipefail

# A program that is looked for, and the package that brings it.
needed=(
  "chromium chromium"
)

say() { printf 'packages: %s\n' "$*"; }
missing() {
  local program package
  for entry in "${needed[@]}"; do
    read -r program package <<<"$entry"
    command -v "$program" >/dev/null || printf '%s ' "$package"
  done
}

read -ra packages <<<"$(missing)"
[ "${#packages[@]}" -gt 0 ] || exit 0
give_up() {
  printf 'packages: error: %s\n' "$1" >&2
  printf 'packages:   Debian, Ubuntu: sudo apt-get install %s\n' "${packages[*]}" >&2
  printf 'packages:   until then the tests that need them fail; nothing else does\n' >&2
  exit 1
}
[ "$(id -u)" = 0 ] || give_up "the tests need ${packages[*]}, and only root may install packages"
command -v apt-get >/dev/null || give_up "the tests need ${packages[*]}, and there is no apt-get to install them with"

# The tests want the program, not a server that starts with the machine.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
say "installing ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
install() { timeout 300 apt-get install --yes --no-install-recommends "${packages[@]}" >/dev/null 2>&1; }
# The lists of a fresh image are empty, those of an old one name versions that are gone.
install || { timeout 300 apt-get update >/dev/null 2>&1 && install; } ||
  give_up "apt-get could not install ${packages[*]}"
[ -z "$(missing)" ] || give_up "${packages[*]} were installed, but $(missing)is still not there"
say "done"
