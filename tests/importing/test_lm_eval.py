"""lm-eval's logs, written by lm-eval itself: figures, samples, direction; and logs that are damaged or do not match."""

import json

import pytest

from evalsuite.errors import InputError
from evalsuite.importing import import_logs


@pytest.fixture
def base(logs):
    return next((logs / "lm-eval" / "base").glob("results_*.json"))


def samples_of(base, task):
    return next(base.parent.glob(f"samples_{task}_*.jsonl"))


def one(path, store, **more):
    return import_logs("lm-eval", path, store, **more)[0]


def rewritten(path, change):
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    changed = change(rows)
    rows = changed if isinstance(changed, list) else rows
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_figures_are_those_of_the_log_made_again_from_its_samples(base, store):
    run = one(base, store)
    said = json.loads(base.read_text(encoding="utf-8"))["results"]
    found = {(m.task, m.name): m for m in run.metrics}
    assert found["lm-eval:facts_choice@1", "acc"].value == pytest.approx(said["facts_choice"]["acc,none"])
    assert found["lm-eval:facts_choice@1", "acc_norm"].value == pytest.approx(said["facts_choice"]["acc_norm,none"])
    extracted = found["lm-eval:facts_open@2.1", "exact_match,flexible-extract"]
    assert (extracted.value, extracted.n, extracted.interval) == (pytest.approx(0.1), 10, "wilson")
    assert [m.name for m in run.metrics if m.primary] == ["acc", "exact_match,strict-match", "word_perplexity"]
    loss = found["lm-eval:facts_loss@1", "bits_per_byte"]
    assert (loss.value, loss.low) == (said["facts_loss"]["bits_per_byte,none"], None)
    assert run.manifest["tasks"]["lm-eval:facts_loss@1"]["lower_is_better"] == ["bits_per_byte", "word_perplexity"]
    assert any("facts_loss bits_per_byte: taken over" in note for note in run.manifest["origin"]["notes"])


def test_the_run_says_where_it_came_from(base, store):
    run = one(base, store)
    origin, model = run.manifest["origin"], run.manifest["model"]
    assert (origin["harness"], origin["version"], len(origin["files"])) == ("lm-eval", "0.4.13", 4)
    assert origin["figures"]["lm-eval:facts_choice@1"]["acc"]["stderr"] == pytest.approx(0.1633, abs=1e-4)
    assert (model["name"], model["backend"]) == ("mini-base", "lm-eval 0.4.13: hf")
    assert model["fingerprint"].startswith("named-")
    assert {spec["family"] for spec in run.manifest["tasks"].values()} == {"lm-eval"}


def test_samples_keep_choices_draws_and_what_the_filters_read(base, store):
    run = one(base, store)
    choice = run.rows("lm-eval:facts_choice@1")[0]
    answers = [json.loads(c) for c in json.loads(choice["completions"])["answer"]]
    assert [a["text"] for a in answers] == [" pink", " silver", " violet", " brown"]
    assert answers[0]["logprobs"] == [pytest.approx(-15.325949668884277)]
    assert choice["question"] == "Which colour does Freya Faldahl wear?"
    rows = run.rows("lm-eval:facts_open@2.1")
    assert len(rows) == 10
    drawn = [json.loads(c)["text"] for c in json.loads(rows[0]["completions"])["answer"]]
    assert len(drawn) == 2
    assert rows[0]["answer"] == drawn[0]
    assert (rows[0]["score.exact_match,strict-match"], rows[0]["reason.exact_match,strict-match"]) == (0, "unparsable")
    health = run.health["lm-eval:facts_open@2.1"]
    assert (health.unparsable, health.truncated, health.mean_tokens) == (1.0, None, None)


def test_the_same_log_gives_the_same_run_and_another_needs_another_name(base, store):
    first = one(base, store, name="a")
    figures = (first.path / "metrics.json").read_bytes()
    assert (one(base, store, name="a").path / "metrics.json").read_bytes() == figures
    other = next((base.parents[1] / "sft").glob("results_*.json"))
    with pytest.raises(InputError, match="made differently"):
        one(other, store, name="a")
    assert one(other, store, name="a", overwrite=True).manifest["model"]["name"] == "mini-sft"


def test_a_folder_gives_a_run_for_each_model_and_template(logs, store):
    runs = import_logs("lm-eval", logs / "lm-eval", store, name="all")
    assert sorted(r.manifest["model"]["template"] for r in runs) == ["chat template", "raw", "raw"]
    assert runs[0].name == "all/mini-base"
    assert all(r.name.startswith("all/mini-sft-") for r in runs[1:])


def test_of_one_task_in_two_logs_the_newer_counts(base, store, edited):
    later = base.with_name("results_2030-01-01T00-00-00.json")
    edited(base.rename(later), lambda top: top.update(date=top["date"] + 1e6))
    first = next((base.parents[1] / "sft").glob("results_*.json"))
    edited(first, lambda top: top.update(model_name="mini-base"))
    run = one(base.parents[1], store)
    notes = run.manifest["origin"]["notes"]
    assert any(f"{first.name} left out" in note for note in notes)
    # The newer one's samples have another date in their names, so they are not its samples.
    assert any("no samples" in note for note in notes)


def test_few_shot_examples_are_part_of_a_tasks_name(base, store, edited):
    edited(base, lambda top: top["n-shot"].update(facts_choice=5))
    assert "lm-eval:facts_choice@1:5shot" in one(base, store).manifest["tasks"]


def test_figures_without_samples_are_taken_over_as_such(base, store):
    for path in base.parent.glob("samples_*"):
        path.unlink()
    run = one(base, store)
    acc = run.metrics[0]
    assert (acc.name, acc.value, acc.n, acc.interval) == ("acc", 0.4, 10, "the log's standard error")
    assert acc.low == pytest.approx(0.4 - 1.959964 * 0.1632993161855452)
    assert any("has no samples" in note for note in run.manifest["origin"]["notes"])
    with pytest.raises(InputError, match="imported without samples"):
        run.samples()


def test_groups_and_metrics_without_a_direction_are_said(base, store, edited):
    def change(top):
        top["results"]["all"] = {"acc,none": 0.4, "alias": "all"}
        top["groups"] = {"all": top["results"]["all"]}
        top["higher_is_better"]["facts_choice"] = {"acc": None}

    edited(base, change)
    run = one(base, store, lower=["acc_norm"])
    notes = " ".join(run.manifest["origin"]["notes"])
    assert "figures of groups (all) are averages" in notes
    assert "does not say whether higher is better for acc, acc_norm" in notes
    assert run.manifest["tasks"]["lm-eval:facts_choice@1"]["lower_is_better"] == ["acc_norm"]


def test_another_standard_error_is_said(base, store, edited):
    edited(base, lambda top: top["results"]["facts_choice"].update({"acc_stderr,none": 0.2}))
    assert "facts_choice acc: standard error 0.2 in the log, 0.1633 by its samples" in " ".join(
        one(base, store).manifest["origin"]["notes"]
    )


def test_an_undeclared_aggregation_keeps_the_logs_figure(base, store, edited):
    def change(top):
        top["configs"]["facts_choice"]["metric_list"] = [{"metric": "acc", "aggregation": "median"}]
        top["results"]["facts_choice"]["acc,none"] = 0.0

    edited(base, change)
    run = one(base, store)
    acc = next(m for m in run.metrics if m.name == "acc")
    assert acc.value == 0.0
    assert "score.acc" not in run.samples().columns
    assert "0 in the log, 0.4 by its samples: the log's is kept" in " ".join(run.manifest["origin"]["notes"])


def altered_score(base):
    rewritten(samples_of(base, "facts_choice"), lambda rows: rows[0].update(acc=1.0))


def cut_samples(base):
    rewritten(samples_of(base, "facts_choice"), lambda rows: rows[:-1])


def other_samples(base):
    theirs = next((base.parents[1] / "sft").glob("samples_facts_choice_*"))
    samples_of(base, "facts_choice").write_bytes(theirs.read_bytes())


def other_prompts(base):
    rewritten(samples_of(base, "facts_choice"), lambda rows: rows[3].update(prompt_hash="0" * 64))


def without_metric(base):
    rewritten(samples_of(base, "facts_choice"), lambda rows: rows[2].pop("acc_norm"))


def without_id(base):
    rewritten(samples_of(base, "facts_choice"), lambda rows: rows[1].pop("doc_id"))


def twice(base):
    rewritten(samples_of(base, "facts_open"), lambda rows: [*rows, rows[0]])


def unknown_filter(base):
    rewritten(samples_of(base, "facts_open"), lambda rows: rows[0].update(filter="other"))


def truncated_line(base):
    path = samples_of(base, "facts_choice")
    path.write_bytes(path.read_bytes()[:-40])


def truncated_results(base):
    base.write_bytes(base.read_bytes()[:300])


def no_results(base):
    base.write_text("{}")


def no_object(base):
    base.write_text("[1, 2]")


def nested(base):
    base.write_text("[" * 200_000)


def no_model(base):
    top = json.loads(base.read_text())
    top.pop("model_name")
    top["config"]["model_args"] = {}
    base.write_text(json.dumps(top))


def hostile_task(base):
    top = json.loads(base.read_text())
    top["results"]["\x1b[31m"] = top["results"].pop("facts_loss")
    base.write_text(json.dumps(top))


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (altered_score, "acc: 0.4 in the log, 0.5 by its samples: the samples are another run's"),
        (other_samples, "the samples are another run's"),
        (cut_samples, "field 'task_hashes.facts_choice'"),
        (other_prompts, "field 'task_hashes.facts_choice'"),
        (without_metric, ".jsonl:3: field 'acc_norm' is missing"),
        (without_id, ".jsonl:2: field 'doc_id' is missing"),
        (twice, "document 0 stands twice under the filter 'strict-match'"),
        (unknown_filter, ".jsonl:1: field 'filter' is 'other'"),
        (truncated_line, ".jsonl:10: not JSON"),
        (truncated_results, "not JSON"),
        (no_results, "field 'results' is missing"),
        (no_object, "expected an object, found a list"),
        (nested, "not JSON that can be read (RecursionError)"),
        (no_model, "field 'model_name'"),
        (hostile_task, "is no name"),
    ],
    ids=lambda part: getattr(part, "__name__", None),
)
def test_a_damaged_log_is_refused_in_one_line(base, refused, harm, says):
    harm(base)
    said = refused("import", "lm-eval", base)
    assert says in said
    assert "\x1b" not in said


def test_other_files_are_refused_by_what_they_are(base, refused, tmp_path):
    assert "give the results_*.json beside it" in refused("import", "lm-eval", samples_of(base, "facts_open"))
    (tmp_path / "empty").mkdir()
    assert "holds no results_*.json" in refused("import", "lm-eval", tmp_path / "empty")
    assert "no such file" in refused("import", "lm-eval", tmp_path / "nothing")
    assert "has no such metric" in refused("import", "lm-eval", base, "--lower-is-better", "speed")


def test_fewer_samples_than_counted_are_refused_without_hashes_too(base, refused, edited):
    edited(base, lambda top: top.pop("task_hashes"))
    cut_samples(base)
    assert "9 samples where the log counts 10" in refused("import", "lm-eval", base)


def test_logs_of_older_versions_with_lists_of_arguments(base, store, edited):
    """Before 0.4.3 `arguments` was a list of lists and `model_args` a text."""

    def change(rows):
        for row in rows:
            row["arguments"] = [list(a.values()) for a in row["arguments"].values()]

    rewritten(samples_of(base, "facts_choice"), change)
    edited(base, lambda top: (top.pop("model_name"), top["config"].update(model_args="pretrained=mini-base,dtype=x")))
    run = one(base, store)
    assert run.manifest["model"]["name"] == "mini-base"
    assert len(json.loads(run.rows("lm-eval:facts_choice@1")[0]["completions"])["answer"]) == 4
