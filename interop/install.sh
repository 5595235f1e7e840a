#!/bin/sh
# Installs the real clients and servers that the cases use, from Debian. Needs root (or sudo) only if
# one is missing. Servers are not started: the cases bring their own configuration and directories.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
packages="swaks libnet-ssleay-perl libio-socket-ssl-perl libauthen-sasl-perl libnet-dns-perl
    isync neomutt fetchmail getmail6 mpop curl python3 ca-certificates postfix bind9 bind9-utils openssl"
# Large, and slow to start: their case is passed over where they are missing.
[ "${RIALTO_TIER:-}" != full ] || packages="$packages clamav-daemon rspamd"
missing=""
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
sudo=""
[ "$(id -u)" = 0 ] || sudo=sudo
if [ -n "$missing" ]; then
    echo "interop: installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    $sudo apt-get update -qq
    # Packages of servers start them. This file, by Debian's policy, says that they shall not.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        trap '$sudo rm -f $policy' EXIT
        printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
        $sudo chmod 755 $policy
    fi
    echo 'postfix postfix/main_mailer_type select No configuration' | $sudo debconf-set-selections
    # shellcheck disable=SC2086  # The list is meant to be split.
    $sudo apt-get install -y -qq --no-install-recommends $missing
fi

# Debian lets one mail server be installed at a time. Exim finds everything by its configuration,
# so it need not be: unpacked is enough, but for the user that it changes to.
exim=$root/target/interop/exim
if [ ! -x "$exim/usr/sbin/exim4" ]; then
    fetched=$(mktemp -d)
    echo "interop: unpacking exim4-daemon-light"
    if (cd "$fetched" && apt-get -o APT::Sandbox::User=root download -qq exim4-daemon-light); then
        mkdir -p "$exim"
        dpkg -x "$fetched"/exim4-daemon-light_*.deb "$exim"
    else
        echo "interop: Exim cannot be had; its case is passed over"
    fi
    rm -rf "$fetched"
fi
if ldd "$exim/usr/sbin/exim4" 2>/dev/null | grep -q 'not found'; then
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        libdb5.3 libgnutls30 libgnutls-dane0 libidn12 libidn2-0 libnsl2 libpcre2-8-0 \
        || echo "interop: Exim lacks libraries"
fi
getent passwd Debian-exim >/dev/null || $sudo useradd --system --no-create-home \
    --home-dir /var/spool/exim4 --shell /usr/sbin/nologin Debian-exim \
    || echo "interop: Exim has no user; its case is passed over"
