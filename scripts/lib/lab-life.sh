# For pid 1 of the namespaces of host.sh: how long they live.
# A lab bounds its own life: DIR/lab/ends says when, in seconds since 1970, or "never". Where it cannot be read any more, DIR
# has been removed, and nobody will come to end what ran there. A host that is not of a lab lives until it is stopped.

watch_over() { # watch_over PID DIR [COMMAND]: returns when the process has ended, or the lab; runs the command each second
  local pid=$1 dir=$2 each_second=${3:-:} lab=no silence
  [ ! -f "$dir/lab/settings" ] || lab=yes
  # A pipe that stays silent: read waits by itself, where sleep would be one more process, which a frozen host stops too.
  exec {silence}<> <(:)
  while kill -0 "$pid" 2>/dev/null && { [ "$lab" = no ] || lab_lives "$dir"; }; do
    "$each_second"
    read -rt 1 -u "$silence" || true
  done
}

lab_lives() {
  local ends
  read -r ends 2>/dev/null < "$1/lab/ends" || return 1
  [ "$ends" = never ] || [ "$EPOCHSECONDS" -lt "$ends" ]
}
