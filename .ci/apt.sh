# Installing Debian packages without asking anybody. Read in by the scripts beside it.

# as_root COMMAND...: run it as root, where that needs no password; fails otherwise.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# why_not_apt: print why packages cannot be installed here; prints nothing where they can.
why_not_apt() {
    if ! command -v apt-get >/dev/null; then
        echo "there is no apt-get here"
    elif ! as_root true 2>/dev/null; then
        echo "installing packages needs root, or sudo without a password"
    fi
}

# apt_install PACKAGE...
apt_install() {
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
}
