"""Which calls load from the Hub, what they load, and what holds it."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubaudit.pins import FINDERS, Form, Found, Reference, State

SHA = "0123456789abcdef0123456789abcdef01234567"
HEADER = """\
import argparse, os, functools, typing
from pathlib import Path
import datasets, diffusers, huggingface_hub, hubaudit, peft, seaborn, transformers
from datasets import load_dataset
from huggingface_hub import HfApi, HfFileSystem, hf_hub_download, snapshot_download
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, pipeline
SHA = "0123456789abcdef0123456789abcdef01234567"
"""


def find(code: str, *local: str, header: str = HEADER) -> Found:
    return FINDERS[".py"](header + code, local.__contains__)


def told(code: str, *local: str, header: str = HEADER) -> list[tuple[str | None, str]]:
    """Each reference's repository and state."""
    found = find(code, *local, header=header)
    assert not found.unparsed
    return [(one.repo_id, one.state.value) for one in found.references]


def only(code: str) -> Reference:
    (reference,) = find(code).references
    return reference


@pytest.mark.parametrize(
    "code",
    [
        "AutoModel.from_pretrained('org/m')",
        "AutoModel.from_pretrained(pretrained_model_name_or_path='org/m', revision=None)",
        "AutoModel.from_pretrained('org/m', revision='')",
        "transformers.AutoTokenizer.from_pretrained('org/m', use_fast=True)",
        "diffusers.StableDiffusionPipeline.from_pretrained('org/m', safety_checker=None)",
        "peft.PeftModel.from_pretrained(base, 'org/m')",
        "peft.PeftModelForCausalLM.from_pretrained(model=base, model_id='org/m')",
        "peft.PeftConfig.from_pretrained('org/m')",
        "peft.AutoPeftModelForCausalLM.from_pretrained('org/m')",
        "hf_hub_download('org/m', 'model.bin')",
        "hf_hub_download(repo_id='org/m', filename='model.bin')",
        "hf_hub_download(filename='model.bin', repo_id='org/m', local_dir='./x')",
        "HfApi().hf_hub_download('org/m', 'x')",
        "huggingface_hub.snapshot_download('org/m')",
        "snapshot_download(repo_id='org/m', allow_patterns='*.json')",
        "load_dataset('org/m')",
        "load_dataset('org/m', 'config', split='train')",
        "load_dataset(path='org/m', name='x')",
        "datasets.load_dataset_builder('org/m')",
        "pipeline('text-generation', model='org/m')",
        "pipeline('text-generation', 'org/m')",
        "pipeline(model='org/m', device=0)",
        "SentenceTransformer('org/m')",
        "HfFileSystem().open('org/m/config.json')",
        "pandas.read_csv('hf://datasets/org/m/rows.csv')",
        "load_dataset('csv', data_files='hf://datasets/org/m/rows.csv')",
        "timm.create_model('hf-hub:org/m', pretrained=True)",
        "requests.get('https://huggingface.co/org/m/resolve/main/config.json')",
        "AutoModel.from_pretrained(*['org/m']) if 0 else AutoModel.from_pretrained('org/m')",
        "x = [AutoModel.from_pretrained('org/m') for _ in range(2)]",
        "with open('x') as f:\n    AutoModel.from_pretrained('org/m')",
        "async def f():\n    return await load(AutoModel.from_pretrained('org/m'))",
        "class A:\n    model = AutoModel.from_pretrained('org/m')",
        "f = lambda: AutoModel.from_pretrained('org/m')",
        "@functools.cache\ndef f(m=AutoModel.from_pretrained('org/m')): ...",
        "try:\n    x\nexcept E:\n    AutoModel.from_pretrained('org/m')",
        "match x:\n    case 1:\n        AutoModel.from_pretrained('org/m')",
    ],
)
def test_a_call_without_a_revision_is_unpinned(code: str) -> None:
    assert [one for one in told(code) if one[0]] == [("org/m", "unpinned")]


@pytest.mark.parametrize(
    "given_",
    [
        "'main'",
        "'v1.0'",
        "'refs/pr/1'",
        "'0123456'",
        "'0123456789abcdef0123456789abcdef0123456'",
        "'0123456789abcdef0123456789abcdef012345678'",
        "SHA[:7]",
        "SHA.upper()[:0] + '0123456789ABCDEF0123456789ABCDEF01234567'",
        "'g123456789abcdef0123456789abcdef01234567'",
        "SHA + ' '",
        "'main' if x else SHA",
        "os.environ.get('REVISION', 'main')",
        "os.getenv('REVISION')",
        "revision or 'main'",
        "f'v{1}.0'",
    ],
)
def test_only_a_whole_commit_hash_pins(given_: str) -> None:
    assert told(f"AutoModel.from_pretrained('org/m', revision={given_})")[0][1] != "pinned"


@pytest.mark.parametrize(
    "code",
    [
        "AutoModel.from_pretrained('org/m', revision=SHA)",
        f"AutoModel.from_pretrained('org/m', revision='{SHA}')",
        "AutoModel.from_pretrained(\n    'org/m',\n    revision=SHA,\n)",
        "AutoModel.from_pretrained('org/m', **{'revision': SHA})",
        "kw = dict(revision=SHA)\nAutoModel.from_pretrained('org/m', **kw)",
        "kw = {}\nkw['revision'] = SHA\nAutoModel.from_pretrained('org/m', **kw)",
        "kw = {}\nkw.update(revision=SHA)\nAutoModel.from_pretrained('org/m', **kw)",
        "AutoModel.from_pretrained('org/m', **hubaudit.require('org/m'))",
        "pin = hubaudit.require('org/m')\nAutoModel.from_pretrained('org/m', **pin)",
        "pin = hubaudit.require('org/m')\nAutoModel.from_pretrained('org/m', revision=pin['revision'])",
        "hf_hub_download('org/m', 'x', revision=SHA)",
        "load_dataset('org/m', revision=SHA)",
        "datasets.get_dataset_config_names('org/m', SHA)",
        "HfFileSystem().open(f'org/m@{SHA}/x')",
        "HfFileSystem().ls('org/m', revision=SHA)",
        f"read_csv('hf://datasets/org/m@{SHA}/x.csv')",
        f"get('https://huggingface.co/org/m/resolve/{SHA}/x')",
        "class Pins:\n    M = SHA\nAutoModel.from_pretrained('org/m', revision=Pins.M)",
        "def f():\n    AutoModel.from_pretrained('org/m', revision=LATER)\nLATER = SHA",
        "def f():\n    global R\n    R = SHA\n    AutoModel.from_pretrained('org/m', revision=R)",
        "if (r := SHA):\n    AutoModel.from_pretrained('org/m', revision=r)",
        "a, b = 'org/m', SHA\nAutoModel.from_pretrained(a, revision=b)",
        "for a, b in {'org/m': SHA}.items():\n    AutoModel.from_pretrained(a, revision=b)",
        "R: typing.Final = SHA\nAutoModel.from_pretrained('org/m', revision=R)",
        "R = 'main'\nR = SHA\nAutoModel.from_pretrained('org/m', revision=R)",
        (
            "R = '0123456789abcdef0123'\nR += '456789abcdef01234567'\n"
            "AutoModel.from_pretrained('org/m', revision=R)"
        ),
    ],
)
def test_a_whole_commit_hash_pins_however_it_is_spelled(code: str) -> None:
    assert told(code) == [("org/m", "pinned")]


@pytest.mark.parametrize(
    "code",
    [
        "M = 'org/m'\nAutoModel.from_pretrained(M)",
        "O = 'org'\nAutoModel.from_pretrained(f'{O}/m')",
        "O = 'org'\nAutoModel.from_pretrained(O + '/' + 'm')",
        "AutoModel.from_pretrained('{}/m'.format('org'))",
        "AutoModel.from_pretrained('{o}/{n}'.format(o='org', n='m'))",
        "AutoModel.from_pretrained('%s/%s' % ('org', 'm'))",
        "AutoModel.from_pretrained('/'.join(['org', 'm']))",
        "AutoModel.from_pretrained(str('org/m '.strip()) if 0 else 'org/m')",
        "M = {'a': 'org/m'}\nAutoModel.from_pretrained(M['a'])",
        "M = {'a': {'id': 'org/m'}}\nAutoModel.from_pretrained(M['a']['id'])",
        "M = {'a': 'org/m'}\nAutoModel.from_pretrained(M[name])",
        "M = ['org/m']\nAutoModel.from_pretrained(M[0])",
        "AutoModel.from_pretrained(os.environ.get('MODEL', 'org/m'))",
        "AutoModel.from_pretrained(given or 'org/m')",
        "import enum\nclass M(enum.Enum):\n    A = 'org/m'\nAutoModel.from_pretrained(M.A.value)",
        "class C:\n    model: str = 'org/m'\nc = C()\nAutoModel.from_pretrained(c.model)",
        "class C:\n    model: str = 'x/y'\nc = C(model='org/m')\nAutoModel.from_pretrained(c.model)",
        (
            "class C:\n    def __init__(self):\n        self.m = 'org/m'\n"
            "    def load(self):\n        return AutoModel.from_pretrained(self.m)"
        ),
        (
            "class C:\n    M = 'org/m'\n    @classmethod\n    def load(cls):\n"
            "        return AutoModel.from_pretrained(cls.M)"
        ),
        "def f(name='org/m'):\n    return AutoModel.from_pretrained(name)",
        "def f():\n    def g():\n        return AutoModel.from_pretrained(M)\n    M = 'org/m'",
        (
            "p = argparse.ArgumentParser()\np.add_argument('--model-id', default='org/m')\n"
            "a = p.parse_args()\nAutoModel.from_pretrained(a.model_id)"
        ),
        (
            "p = argparse.ArgumentParser()\np.add_argument('-m', '--model', default='org/m')\n"
            "def main(args):\n    AutoModel.from_pretrained(args.model)"
        ),
        "load = AutoModel.from_pretrained\nload('org/m')",
        "from transformers import AutoModel as M\nM.from_pretrained('org/m')",
        "from huggingface_hub import hf_hub_download as get\nget('org/m', 'x')",
        "import huggingface_hub as h\nh.hf_hub_download('org/m', 'x')",
        "for m in ('org/m',):\n    AutoModel.from_pretrained(m)",
        "[AutoModel.from_pretrained(m) for m in ['org/m']]",
        "for i, m in enumerate(['org/m']):\n    AutoModel.from_pretrained(m)",
        "for m, n in zip(['org/m'], [1]):\n    AutoModel.from_pretrained(m)",
    ],
)
def test_names_and_constants_are_followed_within_the_module(code: str) -> None:
    assert told(code) == [("org/m", "unpinned")]


@pytest.mark.parametrize(
    "code",
    [
        "AutoModel.from_pretrained('./out')",
        "AutoModel.from_pretrained('../out')",
        "AutoModel.from_pretrained('/models/out')",
        "AutoModel.from_pretrained('~/out')",
        r"AutoModel.from_pretrained('C:\\models\\out')",
        "AutoModel.from_pretrained(f'./runs/{name}')",
        "AutoModel.from_pretrained(f'/data/{name}')",
        "AutoModel.from_pretrained(os.path.join('out', 'model'))",
        "AutoModel.from_pretrained(Path('out') / 'model')",
        "AutoModel.from_pretrained(str(Path(__file__).parent / 'model'))",
        "D = os.path.dirname(__file__)\nAutoModel.from_pretrained(D + '/model')",
        "AutoModel.from_pretrained('org/here')",
        "AutoModel.from_pretrained('a/b/c')",
        "load_dataset('csv', data_files='rows.csv')",
        "load_dataset('json', data_files={'train': 'x.json'})",
        "load_dataset('imagefolder', data_dir='./x')",
        "load_dataset('./script.py')",
        "seaborn.load_dataset('tips')",
        "import seaborn as sns\nsns.load_dataset('tips')",
        "from seaborn import load_dataset\nload_dataset('tips')",
        "from modelscope import snapshot_download\nsnapshot_download('org/m')",
        "def load_dataset(name): ...\nload_dataset('org/m')",
        "from sklearn.pipeline import pipeline\npipeline('a', 'org/m')",
        "class A:\n    def f(self):\n        self.load_dataset('org/m')",
        "pipeline('text-generation', model=AutoModel.from_config(c))[:0]",
        "'''AutoModel.from_pretrained(\"org/m\")'''",
        "# AutoModel.from_pretrained('org/m')",
        "AutoModel.from_pretrained()",
        "AutoModel.from_config(config)",
        "model.save_pretrained('org/m')",
        "model.push_to_hub('org/m')",
        "print('org/m')",
        "'''See hf://datasets/org/m/x'''",
    ],
)
def test_what_does_not_load_from_the_hub_is_no_reference(code: str) -> None:
    assert [one for one in told(code, "org/here") if one[1] != "unknown"] == []


@pytest.mark.parametrize(
    "code",
    [
        "def load(name, **kw):\n    return AutoModel.from_pretrained(name, **kw)",
        "def load(name, revision):\n    return AutoModel.from_pretrained(name, revision=revision)",
        "def load(name):\n    return AutoModel.from_pretrained(name, revision='main')",
        "def load(revision):\n    return AutoModel.from_pretrained('org/m', revision=revision)",
        "def load(**kw):\n    return AutoModel.from_pretrained('org/m', **kw)",
        "AutoModel.from_pretrained(config['model'])",
        "AutoModel.from_pretrained(f'{org}/model')",
        "AutoModel.from_pretrained(*names)",
        (
            "class M(Base):\n    @classmethod\n    def from_pretrained(cls, path, *a, **k):\n"
            "        return super().from_pretrained(path, *a, **k)"
        ),
    ],
)
def test_what_only_the_running_program_knows_is_left_alone(code: str) -> None:
    assert [state for _, state in told(code)] == ["unknown"]


def test_a_bare_name_is_a_repository_of_the_hub_too() -> None:
    assert told("AutoModel.from_pretrained('gpt2')\nload_dataset('squad')") == [
        ("gpt2", "unpinned"),
        ("squad", "unpinned"),
    ]


def test_a_folder_of_that_name_does_not_keep_a_download_from_the_hub() -> None:
    assert told("hf_hub_download('org/here', 'x')", "org/here") == [("org/here", "unpinned")]


def test_each_of_several_repositories_is_told_with_its_own_revision() -> None:
    code = """
PINS = [("a/one", SHA), ("b/two", "main"), ("c/three", None)]
for name, revision in PINS:
    AutoModel.from_pretrained(name, revision=revision)
for model in [{"id": "d/four", "rev": SHA}, {"id": "e/five"}]:
    AutoModel.from_pretrained(model["id"], revision=model.get("rev"))
"""
    assert told(code) == [
        ("a/one", "pinned"),
        ("b/two", "unpinned"),
        ("c/three", "unpinned"),
        ("d/four", "pinned"),
        ("e/five", "unpinned"),
    ]


def test_a_name_has_the_value_that_reaches_the_call() -> None:
    code = """
m = "a/one"
AutoModel.from_pretrained(m)
m = "b/two"
AutoModel.from_pretrained(m)
if x:
    m = "c/three"
    AutoModel.from_pretrained(m)
else:
    AutoModel.from_pretrained(m)
AutoModel.from_pretrained(m)
"""
    assert sorted(repo for repo, _ in told(code) if repo) == [
        "a/one", "b/two", "b/two", "b/two", "c/three", "c/three",
    ]  # fmt: skip


def test_a_revision_that_is_only_sometimes_given_does_not_pin() -> None:
    code = "kw = {}\nif x:\n    kw['revision'] = SHA\nAutoModel.from_pretrained('org/m', **kw)"
    assert told(code) == [("org/m", "unpinned")]
    code = "kw = {'revision': SHA} if x else {}\nAutoModel.from_pretrained('org/m', **kw)"
    assert told(code) == [("org/m", "unpinned")]


def test_the_kind_of_repository_is_known() -> None:
    assert only("load_dataset('org/m')").repo_type == "dataset"
    assert only("snapshot_download('org/m', repo_type='dataset')").repo_type == "dataset"
    assert only("hf_hub_download('org/m', 'x', repo_type='space')").repo_type == "space"
    assert only("read('hf://spaces/org/m/x')").repo_type == "space"
    assert only("AutoModel.from_pretrained('org/m')").repo_type == "model"


def test_the_place_is_where_the_loader_is_named() -> None:
    code = 'x = "é"; AutoModel.from_pretrained(\n    "org/m",\n)\n(AutoModel\n .from_pretrained("org/n"))'
    first, second = find(code, header="").references
    assert (first.place.line, first.place.column) == (1, 20)
    assert (second.place.line, second.place.column) == (5, 3)


def test_a_comment_with_a_reason_lets_a_reference_pass() -> None:
    call = "AutoModel.from_pretrained('org/m')"
    quiet = only(f"{call}  # hubaudit: ignore[pin] our own branch")
    assert (quiet.state, quiet.reason) == (State.IGNORED, "our own branch")
    for bare in ("", " ", " --", ":"):
        loud = only(f"{call}  # hubaudit: ignore[pin]{bare}")
        assert loud.state is State.UNPINNED
        assert "gives no reason" in loud.why
    assert only(f"{call}  # noqa  # hubaudit: ignore[other] x y").state is State.UNPINNED
    assert only(f"# hubaudit: ignore[pin] the line above\n{call}").state is State.UNPINNED
    inside = "AutoModel.from_pretrained(\n    'org/m',  # hubaudit: ignore[pin] ours\n)"
    assert only(inside).state is State.IGNORED


def test_a_text_that_looks_like_a_comment_silences_nothing() -> None:
    code = "AutoModel.from_pretrained('org/m', x='# hubaudit: ignore[pin] no reason to')"
    assert only(code).state is State.UNPINNED


def test_a_pin_that_needs_no_silence_stays_a_pin() -> None:
    code = "AutoModel.from_pretrained('org/m', revision=SHA)  # hubaudit: ignore[pin] old"
    assert only(code).state is State.PINNED


def test_an_address_is_pinned_inside_of_the_text() -> None:
    assert only("read('hf://org/m/x')").form is Form.ADDRESS
    assert only("get('https://huggingface.co/org/m/resolve/v1/x')").form is Form.RESOLVE
    assert only("get('https://huggingface.co/org/m/resolve/v1/x')").revision == "v1"
    assert only("read('hf://org/m@refs/pr/3/x')").revision == "refs/pr/3"
    assert only("read('hf://org/m@refs%2Fpr%2F3/x')").revision == "refs/pr/3"


@pytest.mark.parametrize("code", ["def f(:\n", "x = '\n", "\0", "print 'x'", "(" * 500])
def test_what_cannot_be_parsed_is_said(code: str) -> None:
    found = find(code, header="")
    assert not found.references
    assert len(found.unparsed) == 1
    assert "cannot be parsed" in found.unparsed[0].why or "can be parsed" in found.unparsed[0].why


def test_code_that_would_take_for_ever_to_follow_is_only_unknown() -> None:
    lines = ["a0 = 'x' if p else 'y'"]
    lines += [f"a{n + 1} = a{n} + a{n} + f'{{a{n}}}{{a{n}}}'" for n in range(200)]
    lines += ["AutoModel.from_pretrained(a200)", "b = b2", "b2 = b", "hf_hub_download(b, 'x')"]
    assert {state for _, state in told("\n".join(lines))} <= {"unknown"}


_NAMES = st.sampled_from(["a", "b", "c"])
_EXPRESSIONS = st.recursive(
    _NAMES | st.sampled_from(["'org/m'", "SHA", "None", "'main'", "1", "x()", "a.b", "*a"]),
    lambda inner: (
        st.builds("[{0}, {1}]".format, inner, inner)
        | st.builds("{{'id': {0}, 'revision': {1}}}".format, inner, inner)
        | st.builds("({0})[{1}]".format, inner, inner)
        | st.builds("(({0}) + ({1}))".format, inner, inner)
        | st.builds("dict(**{0})".format, inner)
        | st.builds("[({0}) for a, b in ({1})]".format, inner, inner)
        | st.builds("(({0}) if a else ({1}))".format, inner, inner)
        | st.builds("f(AutoModel.from_pretrained({0}, revision={1}))".format, inner, inner)
    ),
    max_leaves=8,
)


@given(st.lists(st.tuples(_NAMES, _EXPRESSIONS), max_size=6))
def test_no_code_makes_the_finder_fail(lines: list[tuple[str, str]]) -> None:
    code = "".join(f"{name} = {value}\n" for name, value in lines)
    found = find(code)
    try:
        ast.parse(code)
    except SyntaxError:
        assert found.unparsed
    else:
        assert not found.unparsed
        calls = sum(value.count("from_pretrained") for _, value in lines)
        assert bool(found.references) <= bool(calls)


@pytest.mark.parametrize(
    "code",
    [
        "load = functools.partial(AutoModel.from_pretrained, trust_remote_code=False)\nload('org/m')",
        "load = functools.partial(AutoModel.from_pretrained, 'org/m')\nload()",
        "jobs = [functools.partial(hf_hub_download, repo_id='org/m', filename='x')]",
        "getattr(AutoModel, 'from_pretrained')('org/m')",
    ],
)
def test_a_call_through_something_else_is_a_call(code: str) -> None:
    assert told(code) == [("org/m", "unpinned")]


def test_what_a_partial_fixes_holds_where_it_is_called() -> None:
    made = "load = functools.partial(AutoModel.from_pretrained, revision=SHA)\n"
    assert told(f"{made}load('org/m')") == [("org/m", "pinned")]
    assert told(f"{made}load('org/m', revision='main')") == [("org/m", "unpinned")]
