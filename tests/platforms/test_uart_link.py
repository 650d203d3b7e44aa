"""Tests of platforms/driver/link.py: what a line of real bits hardly ever does to it."""

import re
import struct

import pytest

from quinnoa.platforms.driver import packets as host
from quinnoa.platforms.driver.errors import DriverError
from quinnoa.platforms.driver.link import RESYNCS, Link

I_BYTES, O_BYTES, ROOM = 8, 4, 63


class Shell:
    """The other end of a link: answers by hand."""

    def __init__(self):
        self.link = Link(baud=1e6, patience=0.1, retries=3, epoch=7, name="the line")
        self.now, self.deframer = 0.0, host.Deframer()

    def asked(self):
        """Return the requests made until the link waits; a request has the fields of a reply."""
        requests = []
        while True:
            requests += self.deframer.feed(self.link.output(self.now))
            if (until := self.link.deadline(self.now)) > self.now + 0.05:
                return requests
            self.now = until

    def answer(self, kind, request, *, left=0, epoch=None, taken=0, position=0, payload=b""):
        self.link.receive(host.frame(struct.pack(
            "<BBHIII", kind, request.tag, left, request.epoch if epoch is None else epoch, taken,
            position) + payload), self.now)

    def identify(self, request, *, magic=0x514E4E41, version=1, network=5):
        self.answer(host.IDENTITY, request, payload=struct.pack(
            "<IIQQIIIIII", magic, version, network, 0, I_BYTES, O_BYTES, ROOM, 32, 100, 10))

    def open(self):
        self.identify(self.asked()[0])
        self.answer(host.STATUS, self.asked()[0])
        assert self.link.ready


def fields(requests):
    return [(request.kind, request.taken, len(request.payload) // 4) for request in requests]


def test_words_go_as_far_as_there_is_room_and_back_to_what_was_lost():
    shell = Shell()
    shell.open()
    data = bytes(range(256)) * 2
    batch = shell.link.submit(64, data)
    sent = shell.asked()
    # A packet is a quarter of the room.
    assert fields(sent) == [(host.DATA, at, 15) for at in (0, 15, 30, 45)]
    assert b"".join(request.payload for request in sent) == data[:240]
    # The second one got lost; the answers to the others tell, and the first to tell is enough.
    for request in sent:
        shell.answer(host.STATUS, request, taken=15, left=15)
    again = shell.asked()
    assert fields(again) == [(host.DATA, at, 15) for at in (15, 30, 45, 60)]
    shell.answer(host.STATUS, again[-1], taken=75, left=75)
    assert fields(shell.asked()) == [(host.DATA, 75, 15), (host.DATA, 90, 15), (host.DATA, 105, 15),
                                     (host.DATA, 120, 8)]
    assert batch.result == b""


def test_results_that_were_lost_are_asked_for_once():
    shell = Shell()
    shell.open()
    batch = shell.link.submit(4, bytes(32))
    first, = shell.asked()
    shell.answer(host.STATUS, first, taken=8, left=8, position=2, payload=b"CCCCDDDD")
    shell.answer(host.STATUS, first, taken=8, left=8, position=4)
    rewind, = shell.asked()
    assert (rewind.kind, rewind.left, rewind.position) == (host.DATA, host.REWIND, 0)
    # What comes twice, or from before, counts once.
    shell.answer(host.STATUS, rewind, taken=8, left=8, position=0, payload=b"AAAABBBB")
    shell.answer(host.STATUS, rewind, taken=8, left=8, position=1, payload=b"BBBBCCCC")
    assert batch.result == b"AAAABBBBCCCC" and not shell.link.idle
    shell.answer(host.STATUS, rewind, taken=8, left=8, position=3, payload=b"DDDD")
    assert batch.result == b"AAAABBBBCCCCDDDD" and shell.link.idle


def test_answers_of_another_epoch_are_no_results():
    shell = Shell()
    shell.open()
    batch = shell.link.submit(1, bytes(8))
    first, = shell.asked()
    stale = first._replace(tag=first.tag ^ 0x80)
    shell.answer(host.STATUS, stale, epoch=1, taken=2, left=2, payload=b"XXXX")
    assert batch.result == b"" and shell.link.ready
    # An answer to what was just asked is no old one: the shell was reset.
    shell.answer(host.STATUS, first, epoch=1, taken=2, left=2, payload=b"XXXX")
    assert batch.result == b"" and not shell.link.ready
    assert shell.asked()[0].kind == host.IDENTIFY


def refused(message):
    return pytest.raises(DriverError, match=f"^{re.escape(message)}$")


def test_a_bitstream_that_changes_is_said():
    shell = Shell()
    shell.open()
    shell.link.submit(1, bytes(8))
    first, = shell.asked()
    shell.answer(host.STATUS, first, epoch=0)
    with refused("another bitstream answers at the line: it is network 0000000000000006, it was "
                 "network 0000000000000005"):
        shell.identify(shell.asked()[0], network=6)


@pytest.mark.parametrize("odd, message", [
    ({"magic": 0}, "MAGIC reads 0x00000000"), ({"version": 2}, "has version 2")])
def test_what_is_no_shell_of_this_version_is_refused(odd, message):
    shell = Shell()
    with pytest.raises(DriverError, match=message):
        shell.identify(shell.asked()[0], **odd)


def test_two_hosts_at_one_shell_are_told_apart():
    shell = Shell()
    shell.open()
    shell.link.submit(1, bytes(8))
    with refused("the accelerator at the line is reset again and again by other than this program"):
        for _ in range(RESYNCS + 1):
            shell.answer(host.STATUS, shell.asked()[-1], epoch=1)
            shell.identify(shell.asked()[0])
            shell.answer(host.STATUS, shell.asked()[0])


def test_results_without_frames_are_refused():
    shell = Shell()
    shell.open()
    shell.link.submit(1, bytes(8))
    first, = shell.asked()
    with refused("the accelerator at the line gives more results than frames"):
        shell.answer(host.STATUS, first, taken=2, left=2, payload=b"AAAABBBB")


def test_silence_ends():
    shell = Shell()
    shell.open()
    shell.link.submit(1, bytes(8))
    polls = 0
    with pytest.raises(DriverError, match=r"0 of 1 frames done, the accelerator took 0\.0 of them"):
        while shell.now < 10:
            polls += len(shell.asked())
            shell.now = shell.link.deadline(shell.now)
    # The words, and as many questions as it may.
    assert polls == 1 + 3
