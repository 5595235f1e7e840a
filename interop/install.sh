#!/bin/sh
# Installs the real clients that the cases use, from Debian. Needs root (or sudo) only if one is missing.
set -eu
packages="swaks libnet-ssleay-perl libio-socket-ssl-perl libauthen-sasl-perl libnet-dns-perl
    isync neomutt curl python3 ca-certificates"
missing=""
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
echo "interop: installing$missing"
sudo=""
[ "$(id -u)" = 0 ] || sudo=sudo
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# shellcheck disable=SC2086  # The list is meant to be split.
$sudo apt-get install -y -qq --no-install-recommends $missing
