#!/bin/bash
# A real S3 server on loopback for tests: Ceph's radosgw over one monitor and one
# in-memory OSD.
#
#   object-store.sh available             can this machine run it?  else says why not
#   object-store.sh start DIR PORT KEY SECRET
#                                         start it with a user of these credentials, in 15 s; DIR must
#                                         be new; the monitor takes PORT + 1 and PORT + 2
#                                         the user may become role "lake", who may do all with buckets
#   object-store.sh stop DIR              stop what was started in DIR
#
# It listens on 127.0.0.1 only.  Everything is in DIR, memory aside (150 MB); the
# processes' ids are in DIR/*.pid.  As root, they run as root.
set -euo pipefail

available() {
    local program
    for program in ceph ceph-mon ceph-osd monmaptool radosgw radosgw-admin; do
        command -v "$program" >/dev/null || { echo "there is no $program"; return 1; }
    done
}

configure() {
    local dir=$1 port=$2
    cat > "$dir/ceph.conf" <<CONF
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon_host = [v2:127.0.0.1:$((port + 1))/0,v1:127.0.0.1:$((port + 2))/0]
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
run_dir = $dir/run
admin_socket = $dir/run/\$name.asok
log_file = $dir/\$name.log
pid_file = $dir/run/\$name.pid
mon_data = $dir/mon
osd_data = $dir/osd
rgw_data = $dir/rgw
osd_objectstore = memstore
memstore_device_bytes = 1073741824
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_crush_chooseleaf_type = 0
osd_class_load_list = *
osd_class_default_list = *
osd_pg_object_context_cache_count = 64
mon_allow_pool_size_one = true
mon_osd_min_in_ratio = 0
ms_bind_ipv6 = false
public_addr = 127.0.0.1
[client.rgw]
ms_mon_client_mode = crc
rgw_frontends = beast endpoint=127.0.0.1:$port
rgw_enable_apis = s3, sts
rgw_s3_auth_use_sts = true
rgw_s3_auth_order = local, sts
rgw_sts_key = 0123456789abcdef
rgw_run_sync_thread = false
rgw_dns_name = localhost
CONF
}

# Run a program in the background, in a session of its own.
background() {
    local dir=$1 name=$2
    shift 2
    setsid "$@" > "$dir/$name.out" 2>&1 < /dev/null &
    echo $! > "$dir/$name.pid"
}

# Try a command until it succeeds, 30 s at most.
until_true() {
    local tries
    for ((tries = 0; tries < 150; tries++)); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.2
    done
    echo "object-store.sh: gave up: $*" >&2
    return 1
}

allow() { echo "{\"Version\": \"2012-10-17\", \"Statement\": [{\"Effect\": \"Allow\", $1}]}"; }

osd_is_up() { ceph osd stat | grep -q '1 up'; }

start() {
    local dir=$1 port=$2 key=$3 secret=$4 as=() fsid id osd
    [ "$(id -u)" != 0 ] || as=(--setuser root --setgroup root)
    mkdir -p "$dir"/{mon,osd,rgw,run}
    configure "$dir" "$port"
    export CEPH_CONF=$dir/ceph.conf
    fsid=$(sed -n 's/^fsid = //p' "$CEPH_CONF")
    monmaptool --create --clobber --addv a "[v2:127.0.0.1:$((port + 1)),v1:127.0.0.1:$((port + 2))]" \
        --fsid "$fsid" "$dir/monmap" >/dev/null
    ceph-mon -i a --mkfs --monmap "$dir/monmap" "${as[@]}"
    background "$dir" mon ceph-mon -i a -f "${as[@]}"
    until_true timeout 5 ceph -s
    osd=$(cat /proc/sys/kernel/random/uuid)
    id=$(ceph osd new "$osd" 2>/dev/null)
    ceph-osd -i "$id" --mkfs --osd-uuid "$osd" "${as[@]}" > "$dir/mkfs.out" 2>&1
    background "$dir" osd ceph-osd -i "$id" -f "${as[@]}"
    until_true osd_is_up
    radosgw-admin -n client.rgw user create --uid=test --display-name=test \
        --access-key="$key" --secret-key="$secret" > "$dir/user.out" 2>&1
    radosgw-admin -n client.rgw role create --role-name=lake --assume-role-policy-doc="$(allow \
        '"Principal": {"AWS": ["arn:aws:iam:::user/test"]}, "Action": ["sts:AssumeRole"]')" > "$dir/role.out" 2>&1
    radosgw-admin -n client.rgw role-policy put --role-name=lake --policy-name=all --policy-doc="$(allow \
        '"Action": ["s3:*"], "Resource": "arn:aws:s3:::*"')" >> "$dir/role.out" 2>&1
    background "$dir" rgw radosgw -n client.rgw -f "${as[@]}"
    until_true curl -s -o /dev/null "http://127.0.0.1:$port/"
}

stop() {
    local file pid tries
    for file in "$1"/rgw.pid "$1"/osd.pid "$1"/mon.pid; do
        [ -f "$file" ] || continue
        pid=$(cat "$file")
        kill "$pid" 2>/dev/null || continue
        for ((tries = 0; tries < 50; tries++)); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null || true
    done
}

command=${1:-}
case $command in
    available|start|stop) shift; "$command" "$@" ;;
    *) echo "object-store.sh: unknown command $command" >&2; exit 2 ;;
esac
