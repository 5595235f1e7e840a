#!/usr/bin/env bash
# Installs the peer of the benchmarks from Debian: Postfix and Dovecot. They are neither started
# nor left to be started at boot: the benchmarks bring their own configuration and directories.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

packages=(postfix dovecot-imapd dovecot-lmtpd openssl)
installed=$(dpkg-query --show --showformat='${Status}\n' "${packages[@]}" 2>/dev/null \
    | grep -c '^install ok installed$' || true)
[[ $installed -eq ${#packages[@]} ]] && exit 0
if [[ $EUID -ne 0 ]]; then
    echo "The peer is not installed. As root: bash $0" >&2
    exit 1
fi

# Packages of servers start them. This file, by Debian's policy, says that they shall not.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
bash "$here/../../.ci/apt" "${packages[@]}"
if [[ -d /run/systemd/system ]]; then
    systemctl disable --quiet postfix.service dovecot.service dovecot.socket 2>/dev/null || true
fi
