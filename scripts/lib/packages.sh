# What each script needs from Debian: a package and a file that shows it is there. Nothing is asked of apt when the
# files exist. The packages are the ones without services: libvirt-daemon and mariadb-server-core bring programs, not a
# running daemon of the machine's.
PACKAGES_HOST="iproute2:ip util-linux:unshare libvirt-daemon:libvirtd libvirt-clients:virsh qemu-system-x86:qemu-system-x86_64
 qemu-utils:qemu-img dnsmasq-base:dnsmasq procps:pgrep"
PACKAGES_LAB="gcc:gcc libc6-dev:/usr/include/dlfcn.h gnutls-bin:certtool"
PACKAGES_IMAGE="cpio:cpio dosfstools:mkfs.vfat e2fsprogs:mke2fs fdisk:sfdisk mtools:mcopy
 syslinux:syslinux syslinux-common:/usr/lib/syslinux/mbr/mbr.bin qemu-utils:qemu-img dpkg:dpkg-deb"
PACKAGES_DATABASE="mariadb-server-core:mariadbd mariadb-client-core:mariadb util-linux:setpriv"
PACKAGES_PORTAL="ca-certificates:/etc/ssl/certs/ca-certificates.crt curl:curl openssh-client:ssh gnutls-bin:certtool"
PACKAGES_TEST="openssl:openssl genisoimage:isoinfo chromium:chromium fonts-noto-cjk:/usr/share/fonts/opentype/noto git:git"
# Debian 13 cut libvirt-daemon into one package a driver; Debian 12 has them in libvirt-daemon.
PACKAGES_HOST_LATER="libvirt-daemon-driver-network libvirt-daemon-driver-storage libvirt-daemon-driver-nodedev
 libvirt-daemon-driver-interface libvirt-daemon-driver-secret libvirt-daemon-driver-nwfilter libvirt-daemon-log"

missing_packages() { # missing_packages "package:program-or-file …"
  local entry package probe
  for entry in $1; do
    package=${entry%%:*} probe=${entry#*:}
    case $probe in
      /*) [ -e "$probe" ] || printf '%s\n' "$package" ;;
      *) command -v "$probe" >/dev/null || printf '%s\n' "$package" ;;
    esac
  done | sort -u
  case $1 in *libvirt-daemon:*)
    if ! ls /usr/lib/*/libvirt/connection-driver/libvirt_driver_qemu.so >/dev/null 2>&1; then printf 'libvirt-daemon-driver-qemu\n'; fi
    if ! ls /usr/lib/*/libvirt/connection-driver/libvirt_driver_network.so >/dev/null 2>&1 && [ "$(debian_version)" -ge 13 ]; then
      printf '%s\n' $PACKAGES_HOST_LATER
    fi ;;
  esac
}

debian_version() { ( . /etc/os-release 2>/dev/null; v=${VERSION_ID:-12}; printf '%s' "${v%%.*}" ); }

install_packages() { # install_packages package…
  command -v apt-get >/dev/null || { echo "this machine has no apt-get; please install: $*"; return 1; }
  export DEBIAN_FRONTEND=noninteractive
  # Another apt may hold the lock (unattended-upgrades does, just after boot): wait for it rather than fail.
  apt-get -o DPkg::Lock::Timeout=300 update
  apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
}

node_is_new_enough() {
  command -v node >/dev/null && node -e 'const [a,b]=process.versions.node.split(".").map(Number); process.exit(a>20||(a===20&&b>=12)?0:1)'
}

npm_packages_are_current() { # npm leaves node_modules/.package-lock.json, written last
  [ -f "$ROOT/node_modules/.package-lock.json" ] && [ ! "$ROOT/package-lock.json" -nt "$ROOT/node_modules/.package-lock.json" ]
}

build_is_current() { # dist is newer than everything it is made from
  [ -f "$ROOT/dist/main.js" ] &&
    [ -z "$(find "$ROOT/src" "$ROOT/package-lock.json" "$ROOT/tsconfig.json" "$ROOT/tsconfig.build.json" "$ROOT/scripts/copy-vendor.mjs" \
      -newer "$ROOT/dist/.built" -type f -print -quit 2>&1)" ]
}
