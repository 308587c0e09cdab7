# A lab: several private hosts (host.sh) that act like the machines of a cluster, and what can befall them. Below DIR:
#   lab/settings   "HOSTS tls|tcp MEMORY_MIB"          lab/ends        when the lab ends by itself
#   lab/pki-I      certificates, for network 10.77.I   lab/shared-pool.so   see shared-pool.c
#   lab/agents     the fence agent of this lab         lab/capabilities     libvirt's knowledge of QEMU
. "$LIB/init.sh"
LAB_MAX=8 LAB_SECONDS=7200

# ---- up and down

check_lab_dir() { # as for one host, and it becomes part of URIs and JSON
  check_host_dir "$1"
  [[ $1 =~ ^[[:alnum:]/._+@=,:-]+$ ]] || die "the path '$1' has a character that several hosts cannot have in it: choose one of letters, digits and / . _ - only."
}

default_host_memory() { # default_host_memory HOSTS: three quarters of this machine in all, at most 8 GiB each
  local total
  total=$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)
  local each=$((total * 3 / 4 / $1))
  printf '%s' $((each > 8192 ? 8192 : each < 512 ? 512 : each))
}

lab_is_other() { # lab_is_other DIR TRANSPORT MEMORY: hosts run there which were started otherwise
  local dir=$1
  lab_runs "$dir" || return 1
  read_lab_settings "$dir"
  [ "$LAB_TRANSPORT $LAB_MEMORY" != "$2 $3" ]
}
lab_runs() { # anything of it
  local number
  if running_pid "$1/lan/pid" >/dev/null; then return; fi
  for number in $(started_hosts "$1"); do if ! host_is_gone "$1" "$number"; then return; fi; done
  return 1
}

# Every host of it is up; what runs already goes on running. TTL: seconds; 0: for ever; '': as it is, or two hours.
lab_up() { # lab_up DIR HOSTS TRANSPORT MEMORY TTL
  local dir=$1 hosts=$2 transport=$3 memory=$4 number pids=() rc=0
  # Without its switch (killed, say) no host is reached again.
  if ! is_running "$dir/lan/pid"; then stop_all_hosts "$dir"; fi
  mkdir -p "$dir/lab/agents" || return 1
  chmod o+x "$dir" "$dir/lab"
  printf '%s %s %s\n' "$hosts" "$transport" "$memory" > "$dir/lab/settings"
  set_lab_end "$dir" "$5"
  ln -sfn "$LIB/fence_lab" "$dir/lab/agents/fence_lab"
  build_shared_pool "$dir/lab/shared-pool.so" || return 1
  start_lan "$dir" || return 1
  if [ "$transport" = tls ]; then make_lab_certificates "$dir" "$hosts" || return 1; fi
  for number in $(started_hosts "$dir"); do if [ "$number" -gt "$hosts" ]; then stop_host "$dir" "$number"; fi; done
  for number in $(seq "$hosts"); do with_power_switch "$dir" "$number" bring_up & pids+=($!); done
  for number in "${pids[@]}"; do wait "$number" || rc=1; done
  return "$rc"
}

set_lab_end() { # set_lab_end DIR TTL
  local end=never
  if [ -z "$2" ] && lab_lives "$1"; then return; fi
  if [ "$2" != 0 ]; then end=$((EPOCHSECONDS + ${2:-LAB_SECONDS})); fi
  echo "$end" > "$1/lab/ends.new"
  mv "$1/lab/ends.new" "$1/lab/ends"
}

build_shared_pool() { # build_shared_pool LIBRARY
  if [ "$1" -nt "$LIB/shared-pool.c" ]; then return; fi
  gcc -Wall -shared -fPIC -O2 -o "$1.new" "$LIB/shared-pool.c" -ldl && chmod 755 "$1.new" && mv "$1.new" "$1"
}

bring_up() { # bring_up DIR N: whatever befell it
  if host_is_gone "$1" "$2"; then start_host "$1" "$2"; return; fi
  thaw_host "$1" "$2"
  join_host "$1" "$2"
  unslow_host "$1" "$2"
}

with_power_switch() { # with_power_switch DIR N command: one at a time does something to a host's power. What is started must not hold the lock
  local rc=0
  exec 8>"$1/lab/power$2.lock"
  flock 8
  "$3" "$1" "$2" 8>&- || rc=$?
  exec 8>&-
  return "$rc"
}

make_lab_certificates() { # DIR HOSTS: those that are not there yet
  local dir=$1 number pki missing=()
  pki=$(lab_pki "$dir")
  for number in $(seq "$2"); do
    if [ ! -f "$pki/host$number/servercert.pem" ]; then missing+=("host$number,$(host_address "$dir" "$number")"); fi
  done
  if [ "${#missing[@]}" -gt 0 ]; then "$ROOT/scripts/make-certificates" "$pki" "${missing[@]}"; fi
}

stop_all_hosts() {
  local number pids=()
  for number in $(started_hosts "$1"); do stop_host "$1" "$number" & pids+=($!); done
  for number in "${pids[@]}"; do wait "$number" || true; done
}

lab_down() { # all of it, and what it needs to know about itself; disks and definitions are kept
  stop_all_hosts "$1"
  stop_lan "$1"
  rm -f "$1/lab/settings" "$1/lab/ends"
}

# ---- what befalls a host

power_off_host() { # power_off_host DIR N: at once, as when the plug is pulled; fails unless nothing of it lives
  local host=$1/host$2 lan file process
  # The cable first: a machine without power says no goodbye to its connections.
  if lan=$(running_pid "$1/lan/pid"); then in_net "$lan" ip link set "host$2" down 2>/dev/null || true; fi
  # The whole process namespace ends with its pid 1, frozen or not; pid 1 ends last.
  for file in init pid; do
    if process=$(running_pid "$host/$file"); then kill -KILL "$process" 2>/dev/null || true; fi
  done
  wait_until 10 host_is_gone "$1" "$2" || { echo "something of host $2 still lives"; return 1; }
  rm -f "$host/pid" "$host/init"
  unplug "$1" "$2"
}

# Everything but pid 1, which stands for the machine itself. The kernel still accepts TCP connections, and nobody answers.
freeze_host() { inside "$(running_pid "$1/host$2/pid")" kill -STOP -- -1; }
thaw_host() { inside "$(running_pid "$1/host$2/pid")" kill -CONT -- -1; }
host_is_frozen() { # DIR N
  pgrep --ns "$(running_pid "$1/host$2/init")" --nslist pid --runstates T -x libvirtd >/dev/null
}

set_port() { in_net "$(running_pid "$1/lan/pid")" ip link set "host$2" "$3"; }
cut_host() { set_port "$1" "$2" down; }
join_host() { set_port "$1" "$2" up; }
host_is_cut() { ! in_net "$(running_pid "$1/lan/pid")" ip -o link show "host$2" 2>/dev/null | grep -q '<[^>]*\bUP\b'; }

host_state() { # host_state DIR N: off, frozen, cut or up
  if host_is_gone "$1" "$2"; then echo off
  elif host_is_frozen "$1" "$2"; then echo frozen
  elif host_is_cut "$1" "$2"; then echo cut
  else echo up; fi
}

# ---- its network, slow

slow_host() { # slow_host DIR N MBIT DELAY_MS LOSS_PERCENT, each '' where it stays as it is: in both directions
  local dir=$1 number=$2 rule
  rule=$(slow_rule "$3" "$4" "$5")
  unslow_host "$dir" "$number"
  in_net "$(running_pid "$dir/lan/pid")" tc qdisc add dev "host$number" root $rule &&
    in_net "$(running_pid "$dir/host$number/pid")" tc qdisc add dev up0 root $rule
}
slow_rule() { # MBIT DELAY LOSS
  local mbit=$1 delay=$2 loss=$3 burst
  if [ -z "$delay$loss" ]; then
    burst=$((mbit * 1000000 / 8 / 100)) # a hundredth of a second
    printf 'tbf rate %smbit burst %s latency 50ms' "$mbit" $((burst > 65536 ? burst : 65536))
  else
    printf 'netem limit 10000%s%s%s' "${mbit:+ rate ${mbit}mbit}" "${delay:+ delay ${delay}ms}" "${loss:+ loss ${loss}%}"
  fi
}
unslow_host() {
  in_net "$(running_pid "$1/lan/pid")" tc qdisc del dev "host$2" root 2>/dev/null || true
  in_net "$(running_pid "$1/host$2/pid")" tc qdisc del dev up0 root 2>/dev/null || true
}
host_slowness() { # as tc says it: "rate 20Mbit", "delay 50ms loss 1%"; nothing where it is not slow
  in_net "$(running_pid "$1/lan/pid")" tc qdisc show dev "host$2" root 2>/dev/null | grep -oE '\b(rate|delay|loss) [^ ]+' | paste -sd ' '
}
kernel_has_netem() { # tries it on an interface that goes away at once
  unshare --net -- bash -c 'ip link add a type veth peer name b && tc qdisc add dev a root netem delay 1ms' >/dev/null 2>&1
}

# ---- its pool, full

pool_folder() { if [ "$2" = shared ]; then printf '%s/pool' "$1"; else printf '%s/host%s/lib/images' "$1" "$2"; fi; } # DIR N|shared

fill_pool() { # fill_pool DIR N|shared BYTES: a file of that size, really allocated; not the last GiB of this machine's disk
  local folder free
  folder=$(pool_folder "$1" "$2")
  mkdir -p "$folder"
  rm -f "$folder/$FILLER"
  free=$(df --output=avail -B1 "$folder" | tail -n 1)
  if [ $((free - $3)) -lt $((1 << 30)) ]; then
    echo "only $((free >> 20)) MiB are free on this machine's disk below $folder, and 1024 of them must stay free"
    return 1
  fi
  fallocate -l "$3" "$folder/$FILLER"
}
empty_pool() { rm -f "$(pool_folder "$1" "$2")/$FILLER"; }
FILLER=filler.raw

# ---- what there is, as JSON

lab_status() { # lab_status DIR
  local dir=$1 number separator='' net ends
  read_lab_settings "$dir"
  net=10.77.$(lan_index "$dir")
  ends=$(cat "$dir/lab/ends" 2>/dev/null || echo never)
  printf '{"dir":"%s","transport":"%s","gateway":"%s.1","pki":%s,"network":"lan","sharedPool":"default","sharedPoolPath":"%s/pool","localPool":"local","localPoolPath":"/var/lib/libvirt/images","endsAt":%s,"hosts":[' \
    "$dir" "$LAB_TRANSPORT" "$net" "$(json_or_null "$(lab_portal_pki "$dir")")" "$dir" "$([ "$ends" = never ] && echo null || echo "$ends")"
  for number in $(seq "$LAB_HOSTS"); do
    printf '%s' "$separator"
    describe_lab_host "$dir" "$number"
    separator=,
  done
  printf ']}\n'
}

describe_lab_host() { # DIR N
  local dir=$1 number=$2 state slow=''
  state=$(host_state "$dir" "$number")
  if [ "$state" != off ]; then slow=$(host_slowness "$dir" "$number" || true); fi
  printf '{"number":%s,"name":"host%s","state":"%s","slow":%s,"address":"%s","uri":"%s","peerUri":"%s","socketUri":"%s","uuid":"%s","memoryMib":%s}' \
    "$number" "$number" "$state" "$(json_or_null "$slow")" "$(host_address "$dir" "$number")" "$(lab_host_uri "$dir" "$number")" \
    "$(lab_peer_uri "$dir" "$number")" "$(host_uri "$dir" "$number")" "$(cat "$dir/host$number/uuid" 2>/dev/null)" "$LAB_MEMORY"
}
json_or_null() { if [ -n "$1" ]; then printf '"%s"' "$1"; else printf null; fi; }

lab_portal_pki() { if [ "$LAB_TRANSPORT" = tls ]; then printf '%s/portal' "$(lab_pki "$1")"; fi; }
lab_peer_uri() { printf 'qemu+%s://%s/system' "$LAB_TRANSPORT" "$(host_address "$1" "$2")"; } # as one host reaches another
lab_host_uri() { # as the portal reaches it
  local pki
  pki=$(lab_portal_pki "$1")
  printf '%s%s' "$(lab_peer_uri "$1" "$2")" "${pki:+?pkipath=$pki}"
}
