#!/usr/bin/env bash
# Runs the peer, Postfix in front of Dovecot, for as long as its own standard input is open:
#
#   run.sh default|tuned DIR SMTP-PORT IMAP-PORT IMAPS-PORT MAILBOX...
#
# Everything is below DIR, which must be empty and reachable for other users; /etc is not read.
# Whoever started this may die in any way: the end of the input stops both daemons. Prints
# "ready" when both have started; DIR/postfix.log and DIR/dovecot.log tell more.
set -euo pipefail
trap '' INT  # Ctrl-C is for the benchmark; this ends when the benchmark has.

kind=$1 dir=$2 smtp=$3 imap=$4 imaps=$5
shift 5
here=$(cd "$(dirname "$0")" && pwd)
# Dovecot's format in the tuned configuration: maildir, sdbox or mdbox.
format=${RIALTO_BENCH_FORMAT:-maildir}
export PATH=$PATH:/usr/sbin
ulimit -n "$(ulimit -Hn)"

mkdir -p "$dir"/{queue,data,conf,mail,run,state}
chown postfix "$dir/data"
for file in main.cf master.cf dovecot.conf; do
    sed -e "s|@DIR@|$dir|g; s|@SMTP@|$smtp|g; s|@IMAP@|$imap|g; s|@IMAPS@|$imaps|g" \
        -e "s|@FORMAT@|$format|g" "$here/$kind/$file" > "$dir/conf/$file"
done
printf '%s@rialto.test x\n' "$@" > "$dir/users"
uid=5000
for user in "$@"; do
    uid=$((uid + 1))
    mkdir "$dir/mail/$user"
    chown "$uid:$uid" "$dir/mail/$user"
    echo "$user@rialto.test::$uid:$uid::$dir/mail/$user" >> "$dir/homes"
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=CA:FALSE \
    -keyout "$dir/key.pem" -out "$dir/cert.pem" 2>/dev/null

# By their process ids, so that nothing has to be left of the directory.
pids=()
stop() {
    ((${#pids[@]})) || return 0
    kill "${pids[@]}" 2>/dev/null || true
    for _ in {1..100}; do
        kill -0 "${pids[@]}" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -9 "${pids[@]}" 2>/dev/null || true
}
trap stop EXIT
dovecot -F -c "$dir/conf/dovecot.conf" < /dev/null > /dev/null &
pids+=($!)
postfix -c "$dir/conf" start >/dev/null 2>&1
pids+=("$(tr -d ' \n' < "$dir/queue/pid/master.pid")")
echo ready
while read -r _; do :; done
