# Installs the packages of packages.txt that are missing. Sourced by ./run and
# ./check; the Dockerfile calls it as `sh scripts/install.sh GROUP…`.
# POSIX sh, since the image's build has nothing better yet.

# Names of the packages in the given groups
packages_of() {
	for _group in "$@"; do
		sed -n "s/^$_group[[:blank:]]\{1,\}\([^[:blank:]#]*\).*/\1/p" \
			"$PACKAGES"
	done
}

# Those of the named packages that are not installed
packages_missing() {
	for _package in "$@"; do
		dpkg-query -W -f='${db:Status-Status}\n' "$_package" \
			2>/dev/null | grep -qx installed ||
			echo "$_package"
	done
}

# Install what the groups are missing. Returns 1, with the command to type,
# when that needs rights which neither root nor sudo gives.
packages_install() {
	# shellcheck disable=SC2046 # package names have no blanks
	_missing=$(packages_missing $(packages_of "$@") | tr '\n' ' ')
	[ -n "$_missing" ] || return 0

	if [ "$(id -u)" -eq 0 ]; then
		_as_root=
	elif command -v sudo >/dev/null; then
		_as_root=sudo
	else
		echo "Missing packages, and neither root nor sudo to install" \
			"them. As root:" >&2
		echo "  apt-get update && apt-get install" \
			"--no-install-recommends $_missing" >&2
		return 1
	fi

	echo "installing: $_missing"
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086
	$_as_root apt-get update -qq </dev/null >/dev/null &&
		$_as_root env DEBIAN_FRONTEND=noninteractive apt-get install \
			-y -qq --no-install-recommends $_missing \
			</dev/null >/dev/null
}

PACKAGES=${PACKAGES:-packages.txt}

case $0 in
*install.sh) packages_install "$@" ;;
esac
