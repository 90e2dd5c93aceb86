"""The shortest way through all programs: a set is born, serves, loses a member and heals. Also under AddressSanitizer."""
import signal

import pymongo
import pytest

pytestmark = pytest.mark.asan


def primary_client(sandbox):
    """A client of the whole set, by the connection string that users are told."""
    uri = sandbox.atoll("connection-string", "mongo", "--with-password").stdout.strip()
    return pymongo.MongoClient(uri, serverSelectionTimeoutMS=20000, w="majority")


def test_three_zones_become_one_set_that_serves(sandbox):
    status = sandbox.wait_healthy()
    members = status["sets"][0]["members"]
    assert [each["state"] for each in members].count("PRIMARY") == 1
    assert {each["zone"] for each in members} == {"us-east1-b", "us-central1-f", "europe-west1-d"}
    with primary_client(sandbox) as client:
        client.shop.orders.insert_one({"_id": 1})
        assert client.shop.orders.find_one({"_id": 1})


def test_a_killed_member_comes_back_under_its_identity(sandbox):
    before = sandbox.wait_healthy()["sets"][0]
    victim = next(each for each in before["members"] if each["state"] == "SECONDARY")
    [process] = sandbox.processes(f"/{victim['disk']['name']}/data ")
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    sandbox.wait_for(lambda status: restarts_of(status, victim["name"]) > victim["restarts"], what="the restart to be seen")
    after = sandbox.wait_healthy()["sets"][0]
    found = next(each for each in after["members"] if each["name"] == victim["name"])
    assert (found["id"], found["host"], found["disk"]["name"]) == (victim["id"], victim["host"], victim["disk"]["name"])


def restarts_of(status, name):
    return next(each["restarts"] for one in status["sets"] for each in one["members"] if each["name"] == name)
