"""The script of the pages behind mailed links: it takes the secret out of the address and into the form."""

import json
import re
import subprocess

import pytest

from mainstem.accounts import pages

_STUBS = """
const field = {value: ''}, code = {hidden: false};
const location = {hash: %s, pathname: '/api/auth/reset-password'};
const document = {forms: [{elements: {token: field}}], getElementById: (id) => (id === 'code' ? code : null)};
let address = location.pathname + location.hash;
const history = {replaceState: (state, title, path) => { address = path; }};
%s
process.stdout.write(JSON.stringify({value: field.value, hidden: code.hidden, address}));
"""


@pytest.mark.parametrize("page", [pages.verify_form, pages.reset_form, pages.invitation_form])
def test_the_secret_moves_from_the_address_into_the_form(node, page):
    text = page().body.decode()
    [script] = re.findall(r"<script>(.*?)</script>", text)
    assert text.index("<form") < text.index("<script>")
    for given, expected in (
        ("#s3cret-_x", {"value": "s3cret-_x", "hidden": True, "address": "/api/auth/reset-password"}),
        ("", {"value": "", "hidden": False, "address": "/api/auth/reset-password"}),
    ):
        source = _STUBS % (json.dumps(given), script)
        done = subprocess.run([node, "-e", source], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == expected


def test_what_is_told_is_text():
    shown = pages.done("<b>", "<i>").body.decode() + pages.reset_form(wrong="<u>").body.decode()
    assert not re.search("<[biu]>", shown)
    assert 'name="token"' in shown
    assert "autocomplete=" in shown
