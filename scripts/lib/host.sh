# Private libvirt hosts below a folder DIR, and the small network between them.
#
#   this machine (root namespace)         "lan": a network namespace          host N: all namespaces but users
#   cloud<I>  10.77.I.1/24  ───veth───  switch lan0, dnsmasq (DHCP)  ───veth───  br0 10.77.I.(10+N), libvirtd, guests
#
# The machine sees one interface, cloud<I>, and nothing of its own configuration is changed: no forwarding, no firewall
# rule, no service. Every namespace is held by one process (`unshare --kill-child`): when that process is killed, all in it
# is gone, interfaces included, so that even kill -9 leaves nothing to find. I is the first 10.77.I that is free.
#
# Where DIR/lab/settings exists, the hosts are those of a lab (lab.sh): they speak TLS, share a pool and claim to be machines.
LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

lan_index() { cat "$1/lan/index"; }
host_address() { printf '10.77.%s.%s' "$(lan_index "$1")" $((10 + $2)); }
host_uri() { printf 'qemu+unix:///system?socket=%s/host%s/run/libvirt-sock' "$1" "$2"; }
host_virsh() { local dir=$1 number=$2; shift 2; virsh -q -c "$(host_uri "$dir" "$number")" "$@"; }

check_host_dir() { # a path that is the same inside the host, and short enough for its sockets
  case $1/ in
    /run/* | /var/run/* | /dev/* | /sys/* | /proc/* | /etc/libvirt/* | /var/lib/libvirt/* | /var/cache/libvirt/* | /var/log/libvirt/*)
      die "$1 lies where a private host keeps its own files: choose another folder." ;;
  esac
  # sun_path holds 107 bytes; libvirtd's longest socket below DIR has 30 more.
  [ ${#1} -le 75 ] || die "the path $1 is too long for a Unix socket: choose one of at most 75 characters."
}

inside() { # inside PID command…: in all the namespaces that the process holds
  local pid=$1; shift
  # --root too: where this system itself lives in a chroot, the namespace's own root is another
  nsenter --target "$pid" --root --mount --uts --ipc --net $(cgroup_namespace) --pid="/proc/$pid/ns/pid_for_children" -- env -C / "$@"
}
cgroup_namespace() { if [ -e /proc/self/ns/cgroup ]; then echo --cgroup; fi; }
in_net() { local pid=$1; shift; nsenter --net="/proc/$pid/ns/net" -- "$@"; }

hold_namespaces() { # hold_namespaces PIDFILE LOG command…
  local pidfile=$1 log=$2; shift 2
  : > "$log"
  launch "$pidfile" "$log" unshare --mount --uts --ipc --net $(cgroup_namespace) --pid --fork --kill-child --mount-proc --propagation private "$@" || return 1
  # Until it has left our network namespace, an interface sent to "its" namespace would land in ours.
  wait_until 5 has_left_our_network "$(running_pid "$pidfile")"
}
has_left_our_network() {
  local theirs
  theirs=$(readlink "/proc/$1/ns/net") && [ "$theirs" != "$(readlink /proc/self/ns/net)" ]
}

read_lab_settings() { # read_lab_settings DIR: LAB_HOSTS (empty where there is no lab), LAB_TRANSPORT (tls, tcp), LAB_MEMORY (MiB of each)
  LAB_HOSTS='' LAB_TRANSPORT='' LAB_MEMORY=''
  if [ -f "$1/lab/settings" ]; then read -r LAB_HOSTS LAB_TRANSPORT LAB_MEMORY < "$1/lab/settings"; fi
  if [ "$LAB_TRANSPORT" = tls ]; then HOST_PKI=$(lab_pki "$1"); fi
}
# Certificates name addresses: another network, other certificates.
lab_pki() { printf '%s/lab/pki-%s' "$1" "$(lan_index "$1")"; }

# ---- the network

lan_is_free() { ! ip -4 -o addr show | grep -q " 10\.77\.$1\." && ! ip -4 route show | grep -q "^10\.77\.$1\." && ! ip link show "cloud$1" >/dev/null 2>&1; }

choose_lan_index() { # the one of last time when it is free, so that addresses stay
  local index kept
  # The kernel takes a killed namespace apart a moment after its last process.
  if kept=$(cat "$1/lan/index" 2>/dev/null) && wait_until 1 lan_is_free "$kept"; then printf '%s' "$kept"; return; fi
  for index in $(seq 0 254); do
    if lan_is_free "$index"; then printf '%s' "$index"; return; fi
  done
  die "all networks 10.77.0.0/24 to 10.77.254.0/24 are taken on this machine."
}

start_lan() { # start_lan DIR
  local dir=$1 index pid
  is_running "$dir/lan/pid" && return
  mkdir -p "$dir/lan"
  hold_namespaces "$dir/lan/pid" "$dir/lan/init.log" "$LIB/lan-init" "$dir" || return 1
  pid=$(running_pid "$dir/lan/pid") || { cat "$dir/lan/init.log"; return 1; }
  # Two starts at once must not choose the same index.
  exec 9>/run/lock/cloud-at-hpc.lock
  flock 9
  index=$(choose_lan_index "$dir") || { stop_lan "$dir"; return 1; }
  # leases of another network would be shown as addresses that nobody has
  [ "$index" = "$(cat "$dir/lan/index" 2>/dev/null)" ] || rm -f "$dir/lan/leases" "$dir"/host*/lib/dnsmasq/br0.status
  printf '%s\n' "$index" > "$dir/lan/index"
  ip link add "cloud$index" type veth peer name uplink netns "$pid"
  if [ -e "/proc/sys/net/ipv6/conf/cloud$index/disable_ipv6" ]; then echo 1 > "/proc/sys/net/ipv6/conf/cloud$index/disable_ipv6"; fi
  ip addr add "10.77.$index.1/24" dev "cloud$index"
  ip link set "cloud$index" up
  exec 9>&-
  wait_until 10 test -f "$dir/lan/ready" || { cat "$dir/lan/init.log"; stop_lan "$dir"; return 1; }
}

stop_lan() {
  if running_pid "$1/lan/pid" >/dev/null; then ip link del "cloud$(lan_index "$1")" 2>/dev/null || true; fi
  stop_remembered "$1/lan/pid" 0
  rm -f "$1/lan/ready"
}

# ---- a host

write_host_files() { # write_host_files DIR N
  local dir=$1 host=$1/host$2 number=$2
  mkdir -p "$dir/pool"
  chmod o+x "$dir" "$dir/pool"
  mkdir -p "$host"/{etc/qemu/networks/autostart,etc/storage/autostart,etc/nwfilter,etc/secrets,lib/qemu,lib/images,cache,log/qemu}
  rm -rf "$host/run"
  mkdir -m 0755 "$host/run"
  [ -f "$host/uuid" ] || cat /proc/sys/kernel/random/uuid > "$host/uuid"
  cat > "$host/etc/libvirtd.conf" <<CONF
# Only the socket $host/run/libvirt-sock: who may open it, may rule this host.
unix_sock_rw_perms = "0700"
unix_sock_ro_perms = "0700"
auth_unix_rw = "none"
auth_unix_ro = "none"
host_uuid = "$(cat "$host/uuid")"
keepalive_interval = 5
keepalive_count = 3
max_clients = 500
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
$(listen_options)
CONF
  cat > "$host/etc/qemu.conf" <<CONF
# The namespaces of the private host stand for what systemd, cgroups and a security driver do on a real one.
security_driver = "none"
cgroup_controllers = []
namespaces = []
# Not root: as root QEMU would keep all of root's capabilities, and these namespaces share the machine's users.
user = "libvirt-qemu"
group = "libvirt-qemu"
remember_owner = 0
stdio_handler = "logd"
vnc_listen = "0.0.0.0"
migration_address = "0.0.0.0"
migration_host = "$(host_address "$dir" "$number")"
keepalive_interval = 5
keepalive_count = 3
$(migration_options)
CONF
  write_pki "$host/pki" "host$number"
  : > "$host/etc/virtlogd.conf"; : > "$host/etc/libvirt.conf"
  cat > "$host/etc/qemu/networks/lan.xml" <<XML
<network>
  <name>lan</name>
  <uuid>$(stable_uuid "$host" network)</uuid>
  <forward mode='bridge'/>
  <bridge name='br0'/>
</network>
XML
  ln -sf ../lan.xml "$host/etc/qemu/networks/autostart/lan.xml"
  write_pool "$host" default "$dir/pool"
  if [ -n "$LAB_HOSTS" ]; then
    write_pool "$host" local /var/lib/libvirt/images
    share_capabilities "$dir" "$host"
  fi
}

share_capabilities() { # what libvirtd has found out about QEMU, in two seconds of work, is true for all hosts
  mkdir -p "$1/lab/capabilities" "$2/cache/qemu"
  if [ ! -e "$2/cache/qemu/capabilities" ]; then ln -s "$1/lab/capabilities" "$2/cache/qemu/capabilities"; fi
}

write_pool() { # write_pool HOSTDIR NAME PATH
  cat > "$1/etc/storage/$2.xml" <<XML
<pool type='dir'>
  <name>$2</name>
  <uuid>$(stable_uuid "$1" "$([ "$2" = default ] && echo pool || echo "pool $2")")</uuid>
  <source/>
  <target><path>$3</path></target>
</pool>
XML
  ln -sf "../$2.xml" "$1/etc/storage/autostart/$2.xml"
}

listen_options() { # on the network of the hosts, which nobody else reaches: TLS with certificates, or nothing checked (a lab with --tcp)
  if [ -n "${HOST_PKI-}" ]; then
    printf 'listen_tls = 1\nlisten_tcp = 0\nlisten_addr = "0.0.0.0"\ntls_allowed_dn_list = [ "CN=portal", "CN=host*" ]\n'
  elif [ "$LAB_TRANSPORT" = tcp ]; then
    printf 'listen_tls = 0\nlisten_tcp = 1\nlisten_addr = "0.0.0.0"\nauth_tcp = "none"\n'
  else
    printf 'listen_tls = 0\nlisten_tcp = 0\n'
  fi
}

migration_options() { # guests and their disks move over TLS too, when it is asked for
  if [ -n "${HOST_PKI-}" ]; then printf 'migrate_tls_x509_cert_dir = "/etc/pki/qemu"\nmigrate_tls_x509_verify = 1\n'; fi
}

write_pki() { # write_pki TARGET NAME: what becomes /etc/pki, as libvirt and QEMU look for it, of what scripts/make-certificates made
  local target=$1 from=${HOST_PKI-}/$2 role
  rm -rf "$target"
  if [ -z "${HOST_PKI-}" ]; then return; fi
  mkdir -p "$target"/{CA,libvirt/private,qemu}
  cp "$from/cacert.pem" "$target/CA/cacert.pem"
  cp "$from/cacert.pem" "$target/qemu/ca-cert.pem"
  for role in server client; do
    cp "$from/${role}cert.pem" "$target/libvirt/${role}cert.pem"
    cp "$from/${role}key.pem" "$target/libvirt/private/${role}key.pem"
    cp "$from/${role}cert.pem" "$target/qemu/$role-cert.pem"
    cp "$from/${role}key.pem" "$target/qemu/$role-key.pem"
  done
}

stable_uuid() { # stable_uuid HOSTDIR WORD: the same at every start
  local hex
  hex=$(printf '%s %s' "$(cat "$1/uuid")" "$2" | sha256sum | cut -c1-32)
  printf '%s-%s-4%s-8%s-%s' "${hex:0:8}" "${hex:8:4}" "${hex:13:3}" "${hex:17:3}" "${hex:20:12}"
}

host_has_kvm() { grep -qwE 'vmx|svm' /proc/cpuinfo && [ -c /dev/kvm ]; }

start_host() { # start_host DIR N
  local dir=$1 number=$2 host=$1/host$2 pid lan kvm=no
  is_running "$host/pid" && return
  start_lan "$dir" || return 1
  lan=$(running_pid "$dir/lan/pid") || return 1
  read_lab_settings "$dir"
  write_host_files "$dir" "$number"
  if host_has_kvm; then kvm=yes; fi
  # Mount points that Debian's libvirt-daemon-system would have made; only covered, never written to.
  mkdir -p /etc/libvirt /etc/pki /var/lib/libvirt /var/cache/libvirt /var/log/libvirt
  unplug "$dir" "$number" # the cable of its last life
  hold_namespaces "$host/pid" "$host/log/init.log" "$LIB/host-init" "$dir" "host$number" "$(host_address "$dir" "$number")" "$kvm" || return 1
  wait_until 5 remember_init "$host" || { cat "$host/log/init.log"; return 1; }
  pid=$(running_pid "$host/pid") || { cat "$host/log/init.log"; return 1; }
  in_net "$lan" ip link add "host$number" type veth peer name up0 netns "$pid"
  in_net "$lan" ip link set "host$number" master lan0 up
  wait_until 20 host_answers_or_ended "$dir" "$number" || true
  if ! host_answers "$dir" "$number"; then
    stop_host "$dir" "$number"
    echo "libvirtd does not answer on $host/run/libvirt-sock"
    cat "$host/log/init.log" "$host/log/libvirtd.log" 2>/dev/null
    return 1
  fi
}
remember_init() { # remember_init HOSTDIR: its pid 1; when that has ended, the kernel has ended every process of the host before
  local holder init
  holder=$(running_pid "$1/pid") && init=$(pgrep -P "$holder" | head -n 1) && remember "$1/init" "$init"
}
unplug() { # unplug DIR N. The namespace of an ended host may live on for a minute, by connections that nobody has said goodbye to
  local lan
  lan=$(running_pid "$1/lan/pid") || return 0
  in_net "$lan" ip link del "host$2" 2>/dev/null || true
}
host_answers() { [ -S "$1/host$2/run/libvirt-sock" ] && host_virsh "$1" "$2" "pool-info default; net-info lan" >/dev/null 2>&1; }
host_answers_or_ended() { host_is_gone "$1" "$2" || host_answers "$1" "$2"; }

stop_host() { # stop_host DIR N: guests end as by a power failure after a word of warning to QEMU, which then writes what it holds
  local init
  if init=$(running_pid "$1/host$2/init"); then
    kill -TERM "$init" 2>/dev/null || true
    wait_until 8 host_is_gone "$1" "$2" || true
  fi
  stop_remembered "$1/host$2/pid" 0
  stop_remembered "$1/host$2/init" 0
  unplug "$1" "$2"
}
host_is_gone() { # neither what holds its namespaces, nor its pid 1
  ! running_pid "$1/host$2/pid" >/dev/null && ! running_pid "$1/host$2/init" >/dev/null
}

started_hosts() { # the numbers of the hosts below DIR
  local host
  for host in "$1"/host[0-9]*; do [ -d "$host" ] && printf '%s\n' "${host##*/host}"; done | sort -n
}

describe_host() { # one JSON object
  local dir=$1 number=$2
  printf '{"uri":"%s","name":"host%s","address":"%s","gateway":"10.77.%s.1","pool":"default","poolPath":"%s/pool","network":"lan"}\n' \
    "$(host_uri "$dir" "$number")" "$number" "$(host_address "$dir" "$number")" "$(lan_index "$dir")" "$dir"
}
