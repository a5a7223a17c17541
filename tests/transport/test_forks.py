"""A hook that was used before a fork: a process pool in a task, a hook at module level."""

import copy
import json
import multiprocessing
import os
import pickle
import queue
import threading
import time

import pytest

from airflow_provider_meetings.core.lazy import lazy
from airflow_provider_meetings.transport.sync import Transport
from tests.support.sandbox import (
    Tiny,
    certificate,
    hook_to,
    listed_by_triggerer,
    one_meeting,
    read_request,
)

FORK = multiprocessing.get_context("fork")
CHILDREN = 4


def echoing(kind):
    """Serve creates: each meeting that is made has the location that was sent, after a moment."""

    def serve(sock, number):
        count = 0
        while (request := read_request(sock)) is not None:
            if request.startswith(b"POST"):
                sent = json.loads(request.partition(b"\r\n\r\n")[2])
                time.sleep(0.02)
            else:
                sent = {"location": "read", "id": 7}
            count += 1
            meeting = {kind.date: 1_770_026_400_000, "id": f"{number}-{count}"} | sent
            sock.sendall(one_meeting(kind, meeting=meeting))

    return serve


def in_children(work):
    """Run a function in some forked children; returns what each of them says."""
    found = FORK.Queue()
    children = [FORK.Process(target=lambda mark=mark: found.put(work(mark)), daemon=True) for mark in range(CHILDREN)]
    for child in children:
        child.start()
    try:
        return sorted(found.get(timeout=60) for _ in children)
    except queue.Empty:
        pytest.fail("a child hangs")
    finally:
        for child in children:
            child.kill()
            child.join()


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_children_share_no_socket(kind, tmp_path, secure):
    """One child's create returned another's meeting."""
    bundle, context = certificate(tmp_path)
    with Tiny(echoing(kind), context if secure else None) as tiny:
        hook = hook_to(kind, tiny.url, timeout=30, **({"verify": str(bundle)} if secure else {}))
        assert hook.create_meeting(kind.meeting(location="parent"))["location"] == "parent"

        def work(mark):
            made = [hook.create_meeting(kind.meeting(location=f"{mark}/{turn}")) for turn in range(10)]
            return [meeting["location"] for meeting in made]

        assert in_children(work) == [[f"{mark}/{turn}" for turn in range(10)] for mark in range(CHILDREN)]
        assert hook.create_meeting(kind.meeting(location="parent"))["location"] == "parent"
        hook.get_conn().close()
        assert tiny.accepted == 1 + CHILDREN


def test_children_share_no_socket_of_the_session(kind):
    """Nor do those who use get_conn() directly."""
    with Tiny(echoing(kind)) as tiny:
        session = hook_to(kind, tiny.url).get_conn()

        def work(mark):
            answers = [session.post(tiny.url, json={"location": f"{mark}/{turn}"}, timeout=30) for turn in range(10)]
            return [(answer.json().get("item") or answer.json()["data"])["location"] for answer in answers]

        work("parent")
        assert in_children(work) == [[f"{mark}/{turn}" for turn in range(10)] for mark in range(CHILDREN)]
        session.close()


class Quiet:
    """A log without a lock; Airflow's own prints under one."""

    def info(self, *_):
        """Drop a line."""


def test_a_child_needs_no_lock_of_the_parent(kind):
    """Whatever the parent's threads were in the middle of at the fork."""
    with Tiny(echoing(kind)) as tiny:
        hook = hook_to(kind, tiny.url, timeout=30)
        transport = Transport(hook._settings, Quiet(), sockets=2)
        stop = threading.Event()

        def get():
            return transport.drive(hook._vendor.get(7))["location"]

        def busy():
            while not stop.is_set():
                get()

        threads = [threading.Thread(target=busy) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(3):
                assert in_children(lambda _: get()) == ["read"] * CHILDREN
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        transport.close()


def test_a_child_lists_as_the_triggerer_does(server, kind):
    """The triggerer's way has sockets of its own in each loop."""
    server.insert(kind, kind.row(1_770_026_400_000))
    hook = server.hook(kind)
    window = (1_770_026_400_000, 1_770_026_400_001)
    assert len(listed_by_triggerer(hook, *window)) == 1
    assert in_children(lambda _: len(listed_by_triggerer(hook, *window))) == [1] * CHILDREN


def test_a_lazy_attribute_holds_no_lock():
    """A child that is forked while a thread makes one can make its own."""
    begun, go_on = threading.Event(), threading.Event()
    parent = os.getpid()

    class Owner:
        @lazy
        def value(self):
            """Take long in the parent."""
            if os.getpid() == parent:
                begun.set()
                go_on.wait(60)
            return object()

    owner = Owner()
    thread = threading.Thread(target=lambda: owner.value)
    thread.start()
    begun.wait(60)
    try:
        assert in_children(lambda _: owner.value is owner.value) == [True] * CHILDREN
    finally:
        go_on.set()
        thread.join()
    assert owner.value is owner.value
    assert isinstance(Owner.value, lazy)


@pytest.mark.parametrize("made", [copy.deepcopy, copy.copy, lambda hook: pickle.loads(pickle.dumps(hook))])  # noqa: S301 - our own
def test_a_copy_of_a_used_hook_has_sockets_of_its_own(kind, made):
    """A pool whose processes are spawned gets the hook as bytes; a lock in it is none of its business."""
    with Tiny(echoing(kind)) as tiny:
        hook = hook_to(kind, tiny.url, timeout=10)
        hook.create_meeting(kind.meeting())
        other = made(hook)
        assert other.create_meeting(kind.meeting(location="There"))["location"] == "There"
        assert hook.create_meeting(kind.meeting(location="Here"))["location"] == "Here"
        assert tiny.accepted == 2
        other.get_conn().close()
        hook.get_conn().close()
