# For pid 1 of the namespaces of host.sh: waiting without a child, and how long it lives.
#
# A lab bounds its own life: DIR/lab/ends says when, in seconds since 1970, or "never". Where it cannot be read any more, DIR
# has been removed, and nobody will come to end what ran there. A host that is not of a lab lives until it is stopped.

# A pipe that stays silent: read waits by itself, where sleep would be one more process (which freezes with its host, and
# which `kill -0 -1` counts). Bash collects ended children meanwhile, but not while a trap runs: TERM only wakes the reader.
become_init() {
  exec {SILENCE}<> <(:)
  STOPPING=no
  trap 'STOPPING=yes; echo >&"$SILENCE"' TERM
}
nap() { read -rt "$1" -u "$SILENCE" || true; } # nap SECONDS

watch_over() { # watch_over PID DIR [COMMAND]: returns on TERM, when the process has ended, or the lab; runs the command each second
  local pid=$1 dir=$2 each_second=${3:-:} lab=no
  [ ! -f "$dir/lab/settings" ] || lab=yes
  while [ "$STOPPING" = no ] && kill -0 "$pid" 2>/dev/null && { [ "$lab" = no ] || lab_lives "$dir"; }; do
    "$each_second"
    nap 1
  done
}

lab_lives() { # lab_lives DIR
  local ends
  read -r ends 2>/dev/null < "$1/lab/ends" || return 1
  [ "$ends" = never ] || [ "$EPOCHSECONDS" -lt "$ends" ]
}
