#!/usr/bin/env bash
# Plants known faults into a copy of the sources, one at a time, and lets the simulator look for each: what it does not find, it
# would not find if somebody made it. Not part of `make test`: each fault is a build of its own.
#
#   scripts/sim-plants.sh [NAME]...    only these
#
# SECONDS_EACH is how long it may look for one (120).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${SECONDS_EACH:-120}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git archive HEAD | tar -x -C "$copy"
export CARGO_TARGET_DIR="$copy/target"
wanted=" $* " found=0 missed=() times=()

# plant NAME FILE OLD NEW: OLD must stand in FILE, once.
plant() {
	local name=$1 file=$2 begun took
	[[ $wanted == "  " || $wanted == *" $name "* ]] || return 0
	git show "HEAD:$file" >"$copy/$file"
	OLD=$3 NEW=$4 perl -0777 -pi -e '
		my $count = () = /\Q$ENV{OLD}\E/g;
		die "$ARGV: what is to be replaced stands there $count times\n" unless $count == 1;
		s/\Q$ENV{OLD}\E/$ENV{NEW}/;' "$copy/$file"
	(cd "$copy" && cargo build --release --locked --quiet --package topchat-sim 2>"$copy/build.log") ||
		{ cat "$copy/build.log" >&2; echo "error: $name does not compile" >&2; exit 1; }
	begun=$(date +%s)
	if "$CARGO_TARGET_DIR/release/topchat-sim" --seeds 1000000 --first --jobs 1 --seconds "$seconds" >"$copy/out.txt" 2>&1; then
		missed+=("$name")
		echo "$name: NOT FOUND within $seconds s"
	else
		took=$(($(date +%s) - begun))
		times+=("$took") found=$((found + 1))
		echo "$name: found after $took s: $(grep -m1 '^seed' "$copy/out.txt" | cut -c1-140)"
	fi
	git show "HEAD:$file" >"$copy/$file"
}

plant segment-name-not-safe src/server/log/files/segment.rs \
	'        private::sync_folder(&folder)?;' ''
plant beginning-not-safe src/server/log/recovery.rs \
	'    cursors.make_safe()?;' ''
plant compacted-onto-itself src/server/log/files/segment.rs \
	'if count == 1 { oldest.compactions }' 'if count == 99 { oldest.compactions }'
plant shown-out-of-order src/client/receive/mod.rs \
	'            && lookup.has_one_under(key)' '            && false'
plant given-up-for-want-of-room src/client/receive/key_lookup.rs \
	'self.overflows |= !self.deferred.add(message.entry, Awaited::NextStart(name.clone()), lookup.standing);' \
	'if !self.deferred.add(message.entry, Awaited::NextStart(name.clone()), lookup.standing) { actions.push(super::done(&message, Signed::No)); }'
plant news-for-the-next-owner src/server/log/order.rs \
	'filter(|_| !is_told && is_of_account)' 'filter(|_| !is_told)'
plant append-without-sync src/storage/append.rs \
	'medium.write_all(records).and_then(|()| medium.sync())' 'medium.write_all(records)'
plant accepted-before-the-disk src/server/log/order.rs \
	'if self.queue.durability == Durability::Memory && self.memory' 'if self.memory'
plant cursor-one-too-far src/server/log/order.rs \
	'let covered = self.index.acknowledge(&of.name, number);' 'let covered = self.index.acknowledge(&of.name, number + 1);'
plant cursors-before-messages src/server/log/writer.rs \
	'Durability::Disk => order.safe,' 'Durability::Disk => order.last(),'
plant shown-before-it-is-recorded src/client/receive/listen_loop.rs \
	'self.receiving.inbox.opened(&shows.collect::<Vec<_>>())?;' 'drop(shows.collect::<Vec<_>>());'
plant acknowledged-before-the-disk src/client/receive/listen_loop.rs \
	'let arrived = inbox.receive(incoming, now_ms())?;' \
	'self.link.send(&ToServer::Ack(last))?; let arrived = inbox.receive(incoming, now_ms())?;'
plant inbox-not-taken-up src/client/receive/listen_loop.rs \
	'*queue = entries.into_iter().filter(goes_on).collect();' 'drop(entries.into_iter().filter(goes_on).count());'
plant outbox-not-sent-again src/client/state/outbox.rs \
	'self.waiting.iter_mut().for_each(|message| message.is_sent = false);' ''
plant age-by-the-wall-clock src/server/clock.rs \
	'self.before.load(Ordering::Relaxed).saturating_add(milliseconds(time::since(self.began)))' 'unix_ms()'
plant passed-and-not-told src/server/log/order.rs \
	'        skipped += passed;' ''
plant torn-tail-stays src/storage/journal.rs \
	'Some(_) => file.cut()?,' 'Some(_) => file.sync()?,'
plant journal-checksum-not-looked-at src/storage/journal.rs \
	'(link.len() == LINK_DIGITS && sum(format, &covered) == given)' '(link.len() == LINK_DIGITS && !sum(format, &covered).is_empty())'
plant log-checksum-not-looked-at src/server/log/files/record.rs \
	'if checksum(*length, body) != u32::from_be_bytes(*sum) {' 'if checksum(*length, body) == 1 && sum[0] == 7 {'
plant failed-write-not-cut-off src/storage/append.rs \
	'                self.dirty = true;' '                self.dirty = true; if self.length > 0 { self.dirty = false; return Err(FileError::io("writing", &self.path)(error)); }'
plant replaced-without-sync src/storage/private.rs \
	'    unfinished.sync_all().map_err(FileError::io("writing", path))?;' ''
plant deleted-before-the-cursors src/server/log/files/segment.rs \
	'.take_while(|known| known.needed() == 0).count()' '.count()'
plant left-behind-counts-as-had src/server/log/reader.rs \
	'self.mail.detach(&self.attachment, self.acknowledged);' \
	'self.mail.detach(&self.attachment, self.outstanding.back().copied().or(self.acknowledged));'

[[ $wanted == "  " && ${#times[@]} -gt 0 ]] &&
	echo "median: $(printf '%s\n' "${times[@]}" | sort -n | sed -n "$(((${#times[@]} + 1) / 2))p") s"
echo "$found found, ${#missed[@]} missed${missed:+: ${missed[*]}}"
[[ ${#missed[@]} -eq 0 ]]
