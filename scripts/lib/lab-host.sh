# For pid 1 of a host of a lab (see host-init, lab.sh): on one machine every host would show the whole machine's memory and
# load. This one shows its own, from its own processes, so that what is decided by them is decided honestly.

become_lab_host() {
  local number file
  read -r LAB_HOSTS _ LAB_MEMORY < "$DIR/lab/settings"
  for number in $(seq "$LAB_HOSTS"); do printf '%s.%s host%s\n' "${ADDRESS%.*}" $((10 + number)) "$number"; done >> /run/hosts
  PROCESSORS=$(nproc) BOOTED=$(grep ^btime /proc/stat) USED_BEFORE=0
  mkdir /run/proc
  show_own_load
  mount --bind /run/proc/meminfo /proc/meminfo
  mount --bind /run/proc/stat /proc/stat
  : > /run/proc/nothing
  for file in /sys/devices/system/node/node[0-9]*/meminfo; do
    [ -e "$file" ] || continue
    # all of it in the first node of the machine's memory
    if [[ $file == */node0/* ]]; then mount --bind /run/proc/node "$file"; else mount --bind /run/proc/nothing "$file"; fi
  done
  # for libvirtd alone: QEMU inherits the library, but not the variable that makes it work
  export LD_PRELOAD=$DIR/lab/shared-pool.so SHARED_POOL=$DIR/pool
}

show_own_load() {
  local total=$((LAB_MEMORY * 1024)) used=0 largest=0 largest_pid= ticks=0 pid fields up idle processor
  for pid in /proc/[0-9]*; do
    read -r fields 2>/dev/null < "$pid/stat" || continue
    fields=(${fields##*) })
    # user and system time, and that of children that have ended; resident pages
    ticks=$((ticks + fields[11] + fields[12] + fields[13] + fields[14]))
    used=$((used + fields[21] * 4))
    if [ "${pid#/proc/}" != 1 ] && [ "${fields[21]}" -gt "$largest" ]; then largest=${fields[21]} largest_pid=${pid#/proc/}; fi
  done
  # A process that ends takes its time along for the moment until its parent collects it: counters never go back.
  if [ "$ticks" -lt "$USED_BEFORE" ]; then ticks=$USED_BEFORE; fi
  USED_BEFORE=$ticks
  if [ "$used" -gt "$total" ]; then
    echo "out of memory: $((used / 1024)) MiB used of $LAB_MEMORY: ending process $largest_pid"
    kill -KILL "$largest_pid" 2>/dev/null || true
    used=$total
  fi
  read -r up _ < /proc/uptime
  idle=$((${up/./} * PROCESSORS - ticks))
  # <> writes in place, and the length is always the same: no reader sees half a file
  printf 'MemTotal:     %12d kB\nMemFree:      %12d kB\nMemAvailable: %12d kB\nBuffers:      %12d kB\nCached:       %12d kB\nSwapTotal:               0 kB\nSwapFree:                0 kB\n' \
    "$total" $((total - used)) $((total - used)) 0 0 1<> /run/proc/meminfo
  printf 'Node 0 MemTotal: %12d kB\nNode 0 MemFree:  %12d kB\nNode 0 MemUsed:  %12d kB\n' "$total" $((total - used)) "$used" 1<> /run/proc/node
  {
    printf 'cpu  %14d 0 0 %16d 0 0 0 0 0 0\n' "$ticks" "$idle"
    for ((processor = 0; processor < PROCESSORS; processor++)); do
      printf 'cpu%d %14d 0 0 %16d 0 0 0 0 0 0\n' "$processor" $((ticks / PROCESSORS)) $((idle / PROCESSORS))
    done
    printf '%s\n' "$BOOTED"
  } 1<> /run/proc/stat
}
