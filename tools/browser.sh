#!/usr/bin/env bash
# Installs Chromium, in which the tests look at report.html: Debian's or Ubuntu's own, where it is missing and we may.
set -euo pipefail
browser=/usr/bin/chromium
test -x "$browser" && exit 0

if test "$(id -u)" = 0; then
    as_root=()
elif sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
else
    echo "tools/browser.sh: there is no $browser, and we may not install it; as root: apt-get install chromium" >&2
    exit 1
fi
command -v apt-get >/dev/null || {
    echo "tools/browser.sh: there is no $browser, and no apt-get; install Chromium and link it there" >&2
    exit 1
}
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -qq -y --no-install-recommends chromium
test -x "$browser"
