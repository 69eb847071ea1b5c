# The steps of ./check, which sources this. Each step_NAME is one subject, says
# all it has to say on stdout and stderr, and returns 0 when nothing failed.

steps=(asan tsan valgrind fuzz format tidy cppcheck wraps)
steps_long=(asan tsan valgrind fuzz format tidy cppcheck wraps matrix sim)

list_steps() {
	printf '%s\n' "${steps_long[@]}"
}

planned_steps() { # LONG
	if $1; then
		printf '%s\n' "${steps_long[@]}"
	else
		printf '%s\n' "${steps[@]}"
	fi
}

is_step() { # NAME
	list_steps | grep -qxF -- "$1"
}

# ------------------------------------------------------------- the runner

# Add to the counts of the step that runs
count() { # PASSED FAILED SKIPPED
	echo "$1 $2 $3" >>"build/check/$step.count"
}

# Count a command as one test, named for whoever reads the log
count_one() { # NAME COMMAND...
	local name=$1

	shift
	echo "--- $name"
	if "$@"; then
		count 1 0 0
	else
		echo "FAILED: $name"
		count 0 1 0
		return 1
	fi
}

sum_counts() { # FILE...
	cat "$@" 2>/dev/null |
		awk '{p += $1; f += $2; s += $3} END {print p+0, f+0, s+0}'
}

run_step() { # NAME
	local step=$1 begun=$SECONDS log=build/check/$1.log rc=0
	local passed failed skipped

	printf '%-10s ' "$step"
	("step_$step") >"$log" 2>&1 </dev/null || rc=$?
	read -r passed failed skipped < <(sum_counts "build/check/$step.count")
	# a step that broke before it counted anything has failed all the same
	if [ $rc -ne 0 ] && [ "$failed" -eq 0 ]; then
		count 0 1 0
		failed=1
	fi

	printf '%5d passed %3d failed %3d skipped %5d s\n' "$passed" \
		"$failed" "$skipped" $((SECONDS - begun))
	if [ "$failed" -ne 0 ]; then
		echo "----- the end of $log:"
		tail -n 60 "$log" | sed 's/^/| /'
		echo "-----"
	fi
}

closing_line() { # SECONDS
	local passed failed skipped

	read -r passed failed skipped < <(sum_counts build/check/*.count)
	echo "done in $1 s"
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

# ----------------------------------------------------------------- helpers

# Set a build directory up, or bring it up to date, warnings as errors
configure() { # NAME MESON-OPTION...
	local dir=build/$1

	shift
	if [ -f "$dir/meson-private/coredata.dat" ]; then
		meson configure "$dir" --werror "$@" >/dev/null && return
		rm -rf "$dir" # of another version, or with other options
	fi
	meson setup "$dir" --werror "$@"
}

# Run tests of a build directory and count their cases. More at once than there
# are cores: most wait more than they work, since a call takes as long as it
# does.
meson_tests() { # NAME MESON-TEST-OPTION...
	local dir=build/$1 rc=0

	shift
	meson test -C "$dir" --no-rebuild --print-errorlogs \
		--num-processes $((3 * $(nproc))) "$@" || rc=$?
	scripts/count-tests "$dir"/meson-logs/testlog*.json \
		>>"build/check/$step.count" || rc=1
	rm -f "$dir"/meson-logs/testlog*.json

	return $rc
}

# ThreadSanitizer of this age cannot live with the address-space randomisation
# of newer kernels: tests run without it where that may be switched off
without_aslr() {
	setarch -R true 2>/dev/null && echo setarch -R || echo env
}

c_files() { # FOLDER...
	git ls-files --cached --others --exclude-standard -- "$@" |
		grep -E '\.[ch]$'
}

# ------------------------------------------------------------------- steps

step_asan() {
	export ASAN_OPTIONS=detect_stack_use_after_return=1
	export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
	local slower=1

	# more rounds of what is random, every allocation failing once
	! $long || export CONVOD_LONG=1 slower=10
	configure asan -Db_sanitize=address,undefined &&
		ninja -C build/asan &&
		meson_tests asan -t $slower
}

# A data race in a test without threads is impossible, but to keep a list of
# those with threads would be one more thing to forget: all of them run
step_tsan() {
	export TSAN_OPTIONS="exitcode=66 second_deadlock_stack=1 \
suppressions=$PWD/tests/tsan.supp"
	configure tsan -Db_sanitize=thread &&
		ninja -C build/tsan &&
		meson_tests tsan --suite unit --suite e2e -t 3 \
			--wrapper "$(without_aslr)"
}

# Here they work, and what they wait for has its time limits all the same: as many
# as there are cores, and a thread that never rests (a server without end, in
# test_http) must not keep the others from valgrind's one lock.
step_valgrind() {
	local which=(--no-suite slow)

	! $long || which=()
	configure plain &&
		ninja -C build/plain &&
		meson_tests plain --suite unit "${which[@]}" -t 20 \
			--num-processes "$(nproc)" --wrapper \
			"valgrind --quiet --error-exitcode=99 --fair-sched=try \
--leak-check=full --errors-for-leak-kinds=definite,indirect,possible \
--num-callers=30 --suppressions=$PWD/tests/valgrind.supp"
}

step_fuzz() {
	CC=clang configure fuzz -Db_sanitize=address,undefined \
		-Db_lundef=false -Dfuzz=true &&
		ninja -C build/fuzz fuzz-targets &&
		fuzz_all
}

fuzz_all() {
	local target seconds=10

	$long && seconds=120
	export -f fuzz_one
	# two at a time; each counts for itself
	find build/fuzz/tests/fuzz -maxdepth 1 -type f -name 'fuzz_*' \
		-executable -printf '%f\n' | sort |
		xargs -r -P "$(nproc)" -I{} bash -c 'fuzz_one "$@"' - {} \
			$seconds "build/check/fuzz.count"
}

# One target: the seeds in the tree first, then its own finds of earlier runs
fuzz_one() { # TARGET SECONDS COUNT-FILE
	local name=${1#fuzz_} dir=build/fuzz/run/$1

	mkdir -p "$dir/corpus"
	if "build/fuzz/tests/fuzz/$1" -max_total_time="$2" -timeout=10 \
		-rss_limit_mb=1024 -print_final_stats=1 \
		-artifact_prefix="$dir/" "$dir/corpus" \
		"tests/fuzz/corpus/$name" >"$dir/log" 2>&1; then
		echo "$1: $(grep -o 'number_of_executed_units.*' "$dir/log")"
		echo 1 0 0 >>"$3"
	else
		cat "$dir/log"
		echo "FAILED: $1"
		echo 0 1 0 >>"$3"
		return 1
	fi
}

step_format() {
	local file rc=0

	while read -r file; do
		count_one "$file" clang-format --dry-run -Werror "$file" || rc=1
	done < <(c_files include src tools tests)

	return $rc
}

# The compile commands are those of the fuzz build, which clang made
step_tidy() {
	[ -f build/fuzz/build.ninja ] ||
		CC=clang configure fuzz -Db_sanitize=address,undefined \
			-Db_lundef=false -Dfuzz=true || return 1
	# generated headers
	ninja -C build/fuzz src/libconvod.a || return 1

	export -f tidy_one
	c_files src tools | grep '\.c$' |
		xargs -r -P "$(nproc)" -I{} bash -c 'tidy_one "$@"' - {} \
			"build/check/tidy.count"
}

tidy_one() { # FILE COUNT-FILE
	if clang-tidy --quiet -p build/fuzz "$1" 2>/dev/null; then
		echo 1 0 0 >>"$2"
	else
		echo "FAILED: $1"
		echo 0 1 0 >>"$2"
		return 1
	fi
}

step_cppcheck() {
	mkdir -p build/check/cppcheck
	# missingInclude: system headers are left out on purpose, they take
	# minutes and say nothing about us
	count_one cppcheck cppcheck --quiet --error-exitcode=1 \
		--std=c11 --language=c -j "$(nproc)" \
		--enable=warning,performance,portability --inline-suppr \
		--suppress=missingIncludeSystem --suppress=unknownMacro \
		--cppcheck-build-dir=build/check/cppcheck \
		-D_GNU_SOURCE -DCONVOD_VERSION='"0"' -I include src tools
}

# The libraries that can be built along must go on building: their tests are
# those of ours that use them
step_wraps() {
	count_one fetch-sources subprojects/fetch-sources || return 1
	configure wraps --force-fallback-for=jansson,cmocka &&
		ninja -C build/wraps &&
		meson_tests wraps --suite unit
}

# Both compilers, debug and release
step_matrix() {
	local cc type rc=0

	for cc in gcc clang; do
		for type in debug release; do
			CC=$cc configure "$cc-$type" --buildtype="$type" \
				-Db_lundef=false &&
				ninja -C "build/$cc-$type" &&
				meson_tests "$cc-$type" || rc=1
		done
	done

	return $rc
}

# A million simulated calls, on all cores
step_sim() {
	local cores calls first=1

	cores=$(nproc)
	calls=$(((1000000 + cores - 1) / cores))
	CC=gcc configure gcc-release --buildtype=release -Db_lundef=false &&
		ninja -C build/gcc-release tests/sim/sim || return 1

	export -f count_one count
	export step
	while [ $first -lt 1000000 ]; do
		echo $first
		first=$((first + calls))
	done | xargs -r -P "$cores" -I{} bash -c 'count_one "calls from $0" \
		build/gcc-release/tests/sim/sim --seed "$0" --calls "$1"' \
		{} "$calls"
}
