#!/usr/bin/env python3
"""Checks the tracking-ingest API of a deployment: python3 test_tracking_ingest.py URL API_KEY. Needs Python alone.

It sends four clicks on links named deployment-test-…; the exit code is 1 when a test fails.
"""

import json
import sys
import time
import urllib.error
import urllib.request


def call(url, key=None, body=None):
    """Return (status, answer)."""
    headers = {"Content-Type": "application/json", **({"X-API-Key": key} if key else {})}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method="GET" if body is None else "POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def tests(base, key):
    """Yield the name of each test and what it found."""
    api = base.rstrip("/") + "/api/tracking-ingest"
    link = f"deployment-test-{int(time.time())}"
    good = {
        "tracking_id": link,
        "clicked_at": "2026-03-10T18:30:00Z",
        "ip_address": "192.0.2.1",
        "click_source": "test",
    }
    status, told = call(api + "/health")
    yield "Health Check", (status, told.get("status")) == (200, "healthy")
    status, told = call(api + "/test", key, {})
    yield "Connection Test", (status, told.get("authenticated")) == (200, True)
    status, told = call(api + "/test", "an-invalid-key", {})
    yield "Invalid API Key", (status, told.get("error")) == (401, "Unauthorized")
    status, told = call(api + "/batch", key, {"events": [good, {**good, "clicked_at": "2026-03-10T18:31:00Z"}]})
    yield "Valid Batch", (status, told.get("results", {}).get("successful")) == (200, 2)
    status, told = call(api + "/batch", key, {"events": [{"click_source": "test"}]})
    yield "Invalid Batch", (status, told.get("error")) == (400, "Validation Failed")
    status, told = call(api + "/batch", key, {"events": [{"tracking_id": link}]})
    yield "Minimal Event", (status, told.get("results", {}).get("successful")) == (200, 1)


def main(base, key):
    """Run all tests; return the exit code."""
    passed = total = 0
    for name, good in tests(base, key):
        total += 1
        passed += good
        print(f"✅ PASS: {name}" if good else f"❌ FAIL: {name}")
    print(f"\nTotal: {passed}/{total} tests passed")
    if passed == total:
        print("🎉 All tests passed!")
    return 0 if passed == total else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.splitlines()[0])
    sys.exit(main(*sys.argv[1:]))
