"""Each kind of change, made on a repository of the stand-in Hub, is the one that is told."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from hubaudit.config import Policy
from hubaudit.demo.hub import HubRepo
from hubaudit.demo.objects import Call, Global, pickle_of
from hubaudit.demo.repository import file_scan
from hubaudit.hub.client import HubClient
from hubaudit.model import NameClass, Severity, Verdict
from hubaudit.sweeping.work import How
from hubaudit.watch.changes import Kind, changes, is_drift
from hubaudit.watch.gather import changes_between
from hubaudit.watch.look import Watched as Entry
from tests.watch.conftest import (
    CONFIG,
    README,
    Watched,
    armed,
    checkpoint,
    model_files,
    twin,
)


def test_nothing_changed_between_two_looks(watched: Watched) -> None:
    assert watched.changes() == ()


def test_a_commit_that_changes_no_file_is_no_change(watched: Watched) -> None:
    watched.repo.commit(watched.repo.files, "again")
    assert watched.changes() == ()


def test_a_readme_is_harmless(watched: Watched) -> None:
    watched.commit(README__md=README + b"and more\n")
    one = watched.change()
    assert (one.kind, one.severity, one.paths) == (
        Kind.README_CHANGED,
        Severity.INFO,
        ("README.md",),
    )
    assert "+and more" in one.detail
    assert not is_drift(one)


def test_a_licence_in_the_readme_is_no_mere_readme(watched: Watched) -> None:
    watched.commit(README__md=README.replace(b"mit", b"cc-by-nc-4.0"))
    one = watched.change()
    assert (one.kind, one.before, one.after) == (Kind.LICENCE_CHANGED, "mit", "cc-by-nc-4.0")
    assert is_drift(one)


def test_a_licence_that_only_the_hub_tells_is_told_too(watched: Watched) -> None:
    watched.repo.card_data = {"license": "other"}
    one = watched.change()
    assert (one.kind, one.before, one.after) == (Kind.LICENCE_CHANGED, None, "other")


def test_a_licence_that_the_readme_and_the_hub_tell_is_one_change(watched: Watched) -> None:
    watched.commit(README__md=README.replace(b"mit", b"other"))
    watched.repo.card_data = {"license": "other"}
    assert watched.change().kind is Kind.LICENCE_CHANGED


def test_an_ordinary_file_may_come_go_change_and_be_renamed(watched: Watched) -> None:
    watched.commit(merges__txt=b"c")
    assert watched.change().kind is Kind.FILE_ADDED
    watched.commit(merges__txt=b"d")
    assert watched.change().kind is Kind.FILE_CHANGED
    watched.commit(merges__txt=None, words__txt=b"d")
    one = watched.change()
    assert (one.kind, one.before, one.after) == (Kind.FILE_RENAMED, "merges.txt", "words.txt")
    watched.commit(words__txt=None)
    assert watched.change().kind is Kind.FILE_REMOVED


def test_a_copy_is_said_to_be_one(watched: Watched) -> None:
    watched.commit(again__txt=b"a\nb\n")
    assert "a copy of vocab.txt" in watched.change().message


def test_a_new_pickle_is_an_executable_with_its_imports(watched: Watched) -> None:
    call = Call(Global("os", "system"), ("true",))
    watched.commit(extra__pkl=pickle_of({"a": call}))
    one = watched.change()
    assert (one.kind, one.severity) == (Kind.EXECUTABLE_ADDED, Severity.CRITICAL)
    assert "os.system (dangerous)" in one.message


def test_a_harmless_pickle_is_an_executable_all_the_same(watched: Watched) -> None:
    watched.commit(extra__pkl=pickle_of({"a": 1}))
    one = watched.change()
    assert (one.kind, one.severity) == (Kind.EXECUTABLE_ADDED, Severity.MEDIUM)


def test_new_code_is_shown(watched: Watched) -> None:
    watched.commit(modeling_x__py=b"import os\n")
    one = watched.change()
    assert one.kind is Kind.EXECUTABLE_ADDED
    assert "+import os" in one.detail


def test_a_pickle_that_imports_something_else_is_about_its_imports(watched: Watched) -> None:
    watched.commit(pytorch_model__bin=armed())
    one = watched.change()
    assert (one.kind, one.severity) == (Kind.IMPORTS_CHANGED, Severity.CRITICAL)
    assert one.paths == ("pytorch_model.bin",)
    assert one.detail == ("+ os.system (dangerous)",)
    watched.commit(pytorch_model__bin=checkpoint())
    one = watched.change()
    assert (one.kind, one.severity) == (Kind.IMPORTS_CHANGED, Severity.LOW)
    assert "no longer imports os.system" in one.message


def test_other_imports_and_other_weights_are_two_changes(watched: Watched) -> None:
    watched.commit(pytorch_model__bin=armed(2))
    kinds = {one.kind for one in watched.changes()}
    assert kinds == {Kind.IMPORTS_CHANGED, Kind.WEIGHTS_REPLACED}


def test_weights_of_another_training_in_both_formats_are_one_change(watched: Watched) -> None:
    watched.commit(pytorch_model__bin=checkpoint(2), model__safetensors=twin(2))
    one = watched.change()
    assert (one.kind, one.severity) == (Kind.WEIGHTS_REPLACED, Severity.MEDIUM)
    assert one.paths == ("model.safetensors", "pytorch_model.bin")
    assert "5 tensors with the same names, dtypes and shapes" in one.message
    assert "5 of the 5 looked at with other bytes" in one.message
    assert "pickle and safetensors agree still (sampled)" in one.message


def test_weights_of_other_shapes_are_listed(watched: Watched) -> None:
    watched.commit(pytorch_model__bin=checkpoint(2, 16), model__safetensors=twin(2, 16))
    one = watched.change()
    assert one.kind is Kind.WEIGHTS_REPLACED
    assert "other names, dtypes or shapes" in one.message
    assert "+ layer.0.weight F32 [16, 4]" in one.detail
    assert "- layer.0.weight F32 [8, 4]" in one.detail


def test_a_pickle_that_leaves_its_twin_behind_differs_from_it(watched: Watched) -> None:
    watched.commit(pytorch_model__bin=checkpoint(2))
    one = watched.change()
    assert (one.kind, one.severity) == (Kind.WEIGHTS_REPLACED, Severity.HIGH)
    assert "and not those in model.safetensors" in one.message
    assert "pickle and safetensors differ now" in one.message


def test_a_twin_that_changed_alone_is_told_as_that(watched: Watched) -> None:
    watched.commit(model__safetensors=twin(2))
    one = watched.change()
    assert (one.kind, one.severity) == (Kind.TWIN_CHANGED, Severity.HIGH)
    assert one.paths == ("model.safetensors",)


def test_a_twin_that_is_only_written_otherwise_agrees_still(watched: Watched) -> None:
    data = twin()
    watched.commit(model__safetensors=data.replace(b'"pt"', b'"np"'))
    one = watched.change()
    assert (one.kind, one.severity) == (Kind.TWIN_CHANGED, Severity.MEDIUM)
    assert "0 of the 5 looked at" in one.message


def test_a_twin_that_is_gone_leaves_the_pickle_to_the_loader(watched: Watched) -> None:
    watched.commit(model__safetensors=None)
    one = watched.change()
    assert (one.kind, one.severity) == (Kind.FILE_REMOVED, Severity.MEDIUM)
    assert "the loader opens pytorch_model.bin instead" in one.message


def test_code_that_changed_is_shown_as_a_diff(watched: Watched) -> None:
    watched.commit(modeling_x__py=b"a = 1\nb = 2\n")
    watched.look()
    watched.commit(modeling_x__py=b"a = 1\nb = 3\n")
    one = watched.change()
    assert one.kind is Kind.CODE_CHANGED
    assert {"-b = 2", "+b = 3"} <= set(one.detail)


def test_code_that_a_load_runs_is_worse(watched: Watched) -> None:
    code = CONFIG[:-1] + b', "auto_map": {"AutoModel": "modeling_x.X"}}'
    watched.commit(config__json=code, modeling_x__py=b"a = 1\n")
    kinds = {one.kind: one.severity for one in watched.changes()}
    assert kinds == {Kind.AUTO_MAP_CHANGED: Severity.HIGH, Kind.EXECUTABLE_ADDED: Severity.HIGH}
    watched.commit(modeling_x__py=b"a = 2\n")
    assert watched.change().severity is Severity.HIGH


def test_an_auto_map_is_told_apart_from_other_keys(watched: Watched) -> None:
    changed = CONFIG[:-1] + b', "auto_map": {"AutoModel": "org/evil--modeling.X"}}'
    watched.commit(config__json=changed.replace(b'"hidden_size": 4', b'"hidden_size": 5'))
    found = {one.kind: one for one in watched.changes()}
    assert set(found) == {Kind.AUTO_MAP_CHANGED, Kind.CONFIG_CHANGED}
    assert found[Kind.AUTO_MAP_CHANGED].detail == (
        'auto_map.AutoModel: nothing → "org/evil--modeling.X"',
    )
    assert found[Kind.CONFIG_CHANGED].detail == ("hidden_size: 4 → 5",)


def test_a_new_configuration_with_an_auto_map_is_about_code(watched: Watched) -> None:
    watched.commit(processor_config__json=b'{"auto_map": {"AutoProcessor": "a/b--c.D"}}')
    one = watched.change()
    assert (one.kind, one.severity) == (Kind.AUTO_MAP_CHANGED, Severity.HIGH)


def test_a_configuration_that_is_written_otherwise_says_so(watched: Watched) -> None:
    watched.commit(config__json=CONFIG + b"\n")
    one = watched.change()
    assert one.kind is Kind.CONFIG_CHANGED
    assert "with the same values" in one.message


@pytest.mark.parametrize(
    "files",
    [
        {"tokenizer_config__json": b'{"chat_template": "{{ x }}", "pad_token": "x"}'},
        {"chat_template__jinja": b"{{ y }}"},
    ],
)
def test_a_chat_template_is_told_apart(watched: Watched, files: dict[str, bytes]) -> None:
    watched.commit(chat_template__jinja=b"{{ x }}")
    watched.look()
    watched.commit(**files)
    one = watched.change()
    assert (one.kind, one.severity) == (Kind.CHAT_TEMPLATE_CHANGED, Severity.MEDIUM)
    assert one.detail


def test_gating_and_visibility_are_changes_without_a_commit(watched: Watched) -> None:
    watched.repo.gated = "auto"
    one = watched.change()
    assert (one.kind, one.before, one.after) == (Kind.GATING_CHANGED, "no", "auto")
    watched.repo.gated = False
    watched.look()
    watched.repo.private = True
    assert watched.change().kind is Kind.REPOSITORY_DELETED  # nobody without a token can tell


def test_a_gated_repository_that_changed_is_still_compared_when_it_opens(watched: Watched) -> None:
    watched.repo.gated = "manual"
    watched.commit(pytorch_model__bin=armed())
    assert watched.looked().seen.verdict is Verdict.INCOMPLETE
    watched.repo.gated = False
    looked = watched.looked()
    kinds = [one.kind for alert in looked.alerts for one in alert.changes]
    assert kinds == [Kind.IMPORTS_CHANGED, Kind.GATING_CHANGED]
    assert looked.seen.verdict is Verdict.FAIL
    assert watched.ledger.open_alerts(watched.name)


def test_history_that_was_rewritten_is_told_with_the_commit_that_is_gone(watched: Watched) -> None:
    old = watched.repo.sha
    new = watched.repo.force_push(model_files())
    one = watched.change()
    assert (one.kind, one.severity) == (Kind.HISTORY_REWRITTEN, Severity.HIGH)
    assert (one.before, one.after) == (old, new)
    assert "is gone" in one.message


def test_history_that_was_rewritten_while_the_old_commit_stays(watched: Watched) -> None:
    watched.repo.tag("kept")
    watched.look()
    watched.repo.force_push(model_files())
    one = watched.change()
    assert one.kind is Kind.HISTORY_REWRITTEN
    assert "gone" not in one.message


def test_a_branch_that_went_back_is_no_rewriting(watched: Watched) -> None:
    first = watched.repo.sha
    watched.repo.commit(model_files(), "same files")
    watched.look()
    watched.repo.branch("main", first)
    one = watched.change()
    assert (one.kind, one.after) == (Kind.MOVED_BACKWARDS, first)


def test_tags_and_other_branches_are_watched_too(watched: Watched) -> None:
    repo = watched.repo
    first = repo.sha
    second = repo.commit(model_files(), "same")
    repo.tag("v1", first)
    repo.tag("v2", second)
    repo.branch("dev", second)
    repo.branch("gone", second)
    watched.look()
    repo.tag("v1", second)
    repo.tag("v2", first)
    repo.branch("dev", first)
    del repo.refs["refs/heads/gone"]
    found = sorted(one.kind for one in watched.changes())
    assert found == [
        Kind.MOVED_BACKWARDS,
        Kind.MOVED_BACKWARDS,
        Kind.REF_REMOVED,
        Kind.TAG_MOVED,
    ]


def test_a_branch_that_goes_on_is_no_change(watched: Watched) -> None:
    watched.repo.branch("dev")
    watched.look()
    watched.repo.commit(model_files() | {"a.pkl": b"x"}, ref="refs/heads/dev")
    assert watched.changes() == ()


def test_a_rename_is_told_and_the_new_name(watched: Watched) -> None:
    watched.hub.rename("org/model", "other/model")
    one = watched.change()
    assert (one.kind, one.before, one.after) == (
        Kind.REPOSITORY_RENAMED,
        "org/model",
        "other/model",
    )
    assert watched.changes() == ()


def test_a_name_that_leads_to_another_repository_is_no_rename(watched: Watched) -> None:
    watched.hub.add(HubRepo("other/model", model_files()))
    watched.hub.remove("org/model")
    watched.hub._world.renames["org/model"] = "other/model"
    assert watched.change().kind is Kind.REPOSITORY_REDIRECTED


def test_a_repository_that_is_gone_and_made_anew_is_another(watched: Watched) -> None:
    watched.hub.remove("org/model")
    one = watched.change()
    assert (one.kind, one.severity) == (Kind.REPOSITORY_DELETED, Severity.HIGH)
    assert watched.changes() == ()
    watched.hub.add(HubRepo("org/model", model_files(), object_key="f" * 24))
    one = watched.change()
    assert (one.kind, one.after) == (Kind.REPOSITORY_RECREATED, "f" * 24)


def test_a_repository_that_was_made_anew_between_two_looks_is_another(watched: Watched) -> None:
    watched.hub.remove("org/model")
    watched.hub.add(HubRepo("org/model", model_files(), object_key="f" * 24))
    assert watched.change().kind is Kind.REPOSITORY_RECREATED


def test_a_repository_that_comes_back_is_the_same(watched: Watched) -> None:
    watched.hub.remove("org/model")
    watched.look()
    watched.hub.add(watched.repo)
    assert watched.change().kind is Kind.REPOSITORY_RESTORED


def test_a_disabled_repository_is_told(watched: Watched) -> None:
    watched.repo.disabled = True
    assert watched.change().kind is Kind.REPOSITORY_DISABLED


def test_a_scanner_that_changes_its_mind_needs_no_commit(watched: Watched) -> None:
    watched.repo.scans["pytorch_model.bin"] = file_scan("unsafe")
    one = watched.change()
    assert (one.kind, one.severity) == (Kind.SCAN_CHANGED, Severity.HIGH)
    assert (one.before, one.after, one.paths) == ("unscanned", "unsafe", ("pytorch_model.bin",))
    watched.repo.scans["pytorch_model.bin"] = file_scan("safe")
    assert watched.change().severity is Severity.LOW


def test_a_scan_that_ends_well_is_harmless_and_told_once_for_all_files(watched: Watched) -> None:
    for path in watched.repo.files:
        watched.repo.scans[path] = file_scan("safe")
    one = watched.change()
    assert (one.kind, one.severity) == (Kind.SCAN_CHANGED, Severity.INFO)
    assert len(one.paths) == len(watched.repo.files)


def test_a_pull_request_that_converts_weights_is_told_and_another_is_not(watched: Watched) -> None:
    watched.repo.pull_request(1, model_files() | {"README.md": b"typo"})
    assert watched.changes() == ()
    watched.repo.pull_request(2, model_files() | {"converted.safetensors": twin(3)})
    one = watched.change()
    assert one.kind is Kind.CONVERSION_OPENED
    assert one.paths == ("converted.safetensors",)
    assert watched.changes() == ()


def test_shards_of_a_checkpoint_are_one_change(watched: Watched) -> None:
    names = [f"model-0000{n}-of-00003__safetensors" for n in (1, 2, 3)]
    watched.commit(
        model__safetensors=None,
        pytorch_model__bin=None,
        **{name: twin(n) for n, name in enumerate(names)},
    )
    watched.look()
    watched.commit(**{name: twin(n + 10) for n, name in enumerate(names)})
    one = watched.change()
    assert (one.kind, len(one.paths)) == (Kind.WEIGHTS_REPLACED, 3)
    assert "15 tensors" in one.message


def test_weights_of_a_commit_that_is_gone_are_compared_as_far_as_they_are_known(
    watched: Watched,
) -> None:
    watched.repo.force_push(
        model_files() | {"pytorch_model.bin": checkpoint(2), "model.safetensors": twin(2)}
    )
    found = {one.kind: one for one in watched.changes()}
    assert set(found) == {Kind.HISTORY_REWRITTEN, Kind.WEIGHTS_REPLACED}
    assert "5 tensors with the same names" in found[Kind.WEIGHTS_REPLACED].message


def test_a_pickle_in_the_place_of_safetensors_is_a_new_executable(watched: Watched) -> None:
    watched.commit(model__safetensors=armed())
    found = {one.kind: one for one in watched.changes()}
    one = found[Kind.EXECUTABLE_ADDED]
    assert (one.severity, one.paths) == (Severity.CRITICAL, ("model.safetensors",))
    assert "and was safetensors" in one.message


def test_visibility_is_told_to_who_may_see_it(watched: Watched) -> None:
    with HubClient(endpoint=watched.hub.endpoint, token="hf_reader") as client:
        watched.client = client
        watched.repo.private = True
        one = watched.change()
    assert (one.kind, one.before, one.after) == (Kind.VISIBILITY_CHANGED, "public", "private")


def test_thousands_of_new_files_are_one_change_and_quick(watched: Watched) -> None:
    content = watched.seen[0].content
    assert content is not None
    plain = next(file for file in content.files if file.path == "vocab.txt")
    many = tuple(
        replace(plain, path=f"{n}.png", sha256=None, blob_id=f"{n:040x}", size=n)
        for n in range(20_000)
    )
    before = replace(watched.seen[0], content=replace(content, files=many[:10_000]))
    after = replace(watched.seen[0], content=replace(content, files=many[10_000:]))
    begun = time.perf_counter()
    added, removed = sorted(changes(before, after), key=lambda one: one.kind)
    assert time.perf_counter() - begun < 5
    assert (added.kind, removed.kind) == (Kind.FILE_ADDED, Kind.FILE_REMOVED)
    assert len(added.paths) == 10_000
    assert len(added.detail) < 100


def test_a_name_that_is_judged_otherwise_now_is_no_other_import(watched: Watched) -> None:
    watched.commit(pytorch_model__bin=checkpoint(2), model__safetensors=twin(2))
    before, after = watched.seen[-1], watched.look()
    assert after.content is not None
    files = tuple(
        replace(
            file, imports=tuple(replace(i, name_class=NameClass.UNLISTED) for i in file.imports)
        )
        for file in after.content.files
    )
    judged = replace(after, content=replace(after.content, files=files))
    kinds = {one.kind for one in changes_between(watched.client, before, judged)}
    assert kinds == {Kind.WEIGHTS_REPLACED}


def test_endless_names_are_kept_short_and_still_told_apart(watched: Watched) -> None:
    long = "x" * 100_000
    watched.commit(a__pkl=pickle_of({"a": Call(Global("m", long + "a"), ())}))
    watched.look()
    watched.commit(a__pkl=pickle_of({"a": Call(Global("m", long + "b"), ())}))
    one = watched.change()
    assert one.kind is Kind.IMPORTS_CHANGED
    assert len(one.message) < 1000
    assert len(one.detail) == 2


def test_under_another_policy_the_same_commit_is_judged_anew(watched: Watched) -> None:
    before = watched.look()
    strict = Policy(fail_on=Severity.INFO)
    entry = Entry(watched.name, How(strict, fetch="range"))
    looked = watched.looked(entry=entry)
    after = watched.seen[-1]
    assert looked.alerts == ()
    assert before.content is not None
    assert after.content is not None
    assert (before.content.verdict, after.content.verdict) == (Verdict.PASS, Verdict.FAIL)
    assert changes_between(watched.client, before, after) == ()
