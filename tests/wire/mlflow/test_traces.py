"""Traces, assessments, evaluation data sets and prompts by the real client, as MLflow's own server answers them."""

import uuid

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import AssessmentError, AssessmentSource, Feedback
from mlflow.exceptions import MlflowException

mlflow_genai = pytest.importorskip("mlflow.genai")


@mlflow.trace(span_type="TOOL")
def tool(x: int) -> int:
    return 2 * x


@mlflow.trace(name="agent", attributes={"depth": 1})
def agent(question: str) -> str:
    with mlflow.start_span("inner", span_type="LLM") as span:
        span.set_inputs({"q": question})
        span.set_outputs({"r": tool(3)})
        span.set_attribute(
            "mlflow.chat.tokenUsage", {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
        )
        mlflow.update_current_trace(
            tags={"team": "red"}, metadata={"mlflow.trace.session": "s1", "mlflow.trace.user": "me"}
        )
    return f"answer to {question}"


def _traced(question: str) -> str:
    agent(question)
    mlflow.flush_trace_async_logging()
    return mlflow.get_last_active_trace_id()


def test_a_trace_goes_round(each_server: str) -> None:
    here = mlflow.set_experiment(f"traces-{uuid.uuid4().hex[:6]}").experiment_id
    trace_id = _traced("why?")
    trace = mlflow.get_trace(trace_id)
    assert (str(trace.info.state), trace.info.token_usage["total_tokens"]) == ("OK", 7)
    assert (trace.info.tags["mlflow.traceName"], trace.info.tags["team"]) == ("agent", "red")
    assert trace.info.tags["mlflow.trace.spansLocation"] == "TRACKING_STORE"
    assert trace.info.tags["mlflow.artifactLocation"].endswith(f"/traces/{trace_id}/artifacts")
    assert [(one.name, one.span_type) for one in trace.data.spans] == [
        ("agent", "UNKNOWN"),
        ("inner", "LLM"),
        ("tool", "TOOL"),
    ]
    assert trace.data.spans[1].inputs == {"q": "why?"}
    assert trace.data.spans[0].attributes["depth"] == 1
    assert trace.data.spans[2].parent_id == trace.data.spans[1].span_id
    assert trace.data.response == '"answer to why?"'

    with pytest.raises(ValueError, match="on purpose"), mlflow.start_span("failing"):
        raise ValueError("on purpose")
    with mlflow.start_run() as run:
        of_run = _traced("in a run")
    found = mlflow.search_traces(locations=[here])
    assert len(found) == 3
    assert list(found["state"]).count("ERROR") == 1

    def ids(text: str, **more: object) -> list[str]:
        return [
            one.info.trace_id
            for one in mlflow.search_traces(locations=[here], filter_string=text, return_type="list", **more)
        ]

    assert len(ids("status = 'ERROR'")) == 1
    assert ids("span.type = 'TOOL' AND tags.team = 'red'", order_by=["timestamp_ms ASC"]) == [
        trace_id,
        of_run,
    ]
    assert ids("trace.text LIKE '%in a run%'") == [of_run]
    assert ids("metadata.`mlflow.trace.session` = 's1'", max_results=1) == [of_run]
    assert ids("", run_id=run.info.run_id) == [of_run]

    client = MlflowClient()
    client.set_trace_tag(trace_id, "k", "v")
    assert mlflow.get_trace(trace_id).info.tags["k"] == "v"
    client.delete_trace_tag(trace_id, "k")
    client.link_traces_to_run([trace_id], run.info.run_id)
    assert sorted(ids("", run_id=run.info.run_id)) == sorted([trace_id, of_run])
    assert client.delete_traces(here, trace_ids=[trace_id]) == 1
    assert client.delete_traces(here, max_timestamp_millis=2**41, max_traces=5) == 2
    assert mlflow.get_trace(trace_id, silent=True) is None


def test_what_is_said_of_a_trace(server: str, experiment: str) -> None:
    trace_id = _traced("good?")
    human = AssessmentSource(source_type="HUMAN", source_id="me")
    said = mlflow.log_feedback(
        trace_id=trace_id, name="good", value=True, rationale="because", source=human, metadata={"a": "b"}
    )
    wanted = mlflow.log_expectation(trace_id=trace_id, name="want", value={"a": [1]}, source=human)
    failed = mlflow.log_feedback(trace_id=trace_id, name="judge", error=AssessmentError("TIMEOUT", "slow"))
    seen = mlflow.get_assessment(trace_id, said.assessment_id)
    assert (seen.value, seen.rationale, seen.source.source_id, seen.metadata) == (
        True,
        "because",
        "me",
        {"a": "b"},
    )
    assert mlflow.get_assessment(trace_id, wanted.assessment_id).value == {"a": [1]}
    assert mlflow.get_assessment(trace_id, failed.assessment_id).error.error_code == "TIMEOUT"
    mlflow.update_assessment(
        trace_id=trace_id, assessment_id=said.assessment_id, assessment=Feedback(name="good", value=0.5)
    )
    assert mlflow.get_assessment(trace_id, said.assessment_id).value == 0.5
    over = mlflow.override_feedback(trace_id=trace_id, assessment_id=said.assessment_id, value=0.9)
    assert mlflow.get_assessment(trace_id, said.assessment_id).valid is False
    assert len(mlflow.search_traces(locations=[experiment], filter_string="feedback.good > 0.8")) == 1
    mlflow.delete_assessment(trace_id, over.assessment_id)
    assert all(one.valid is not False for one in mlflow.get_trace(trace_id).info.assessments)
    with pytest.raises(MlflowException) as caught:
        mlflow.get_assessment(trace_id, over.assessment_id)
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_evaluation_data_sets(server: str, experiment: str) -> None:
    from mlflow.genai import datasets

    made = datasets.create_dataset(name="questions", experiment_id=[experiment], tags={"x": "1"})
    made.merge_records([{"inputs": {"q": "a"}, "expectations": {"e": 1}}, {"inputs": {"q": "b"}}])
    made.merge_records([{"inputs": {"q": "a"}, "expectations": {"f": 2}}])
    _traced("of a trace")
    made.merge_records(mlflow.search_traces(locations=[experiment], return_type="list"))
    again = datasets.get_dataset(dataset_id=made.dataset_id)
    frame = again.to_df()
    assert (len(frame), again.profile, again.experiment_ids) == (3, '{"num_records": 3}', [experiment])
    assert frame["expectations"][0] == {"e": 1, "f": 2}
    datasets.set_dataset_tags(dataset_id=made.dataset_id, tags={"y": "2"})
    datasets.delete_dataset_tag(dataset_id=made.dataset_id, key="x")
    tags = datasets.get_dataset(dataset_id=made.dataset_id).tags
    assert (tags["y"], "x" in tags) == ("2", False)
    found = datasets.search_datasets(experiment_ids=[experiment], filter_string="name = 'questions'")
    assert [one.dataset_id for one in found] == [made.dataset_id]
    assert again.delete_records(list(frame["dataset_record_id"][:2])) == 2
    datasets.remove_dataset_from_experiments(dataset_id=made.dataset_id, experiment_ids=[experiment])
    assert list(datasets.search_datasets(experiment_ids=[experiment])) == []
    datasets.delete_dataset(dataset_id=made.dataset_id)
    with pytest.raises(MlflowException):
        datasets.get_dataset(dataset_id=made.dataset_id)


def test_prompts(server: str, experiment: str) -> None:
    name = f"greet-{uuid.uuid4().hex[:6]}"
    first = mlflow_genai.register_prompt(
        name=name, template="Hello {{name}}", commit_message="first", tags={"author": "me"}
    )
    chat = [{"role": "user", "content": "Hi {{name}}"}]
    second = mlflow_genai.register_prompt(name=name, template=chat, commit_message="second")
    assert (first.version, second.version) == (1, 2)
    assert mlflow_genai.load_prompt(f"prompts:/{name}/1").format(name="x") == "Hello x"
    assert mlflow_genai.load_prompt(name).template == chat
    mlflow_genai.set_prompt_alias(name, alias="live", version=1)
    assert mlflow_genai.load_prompt(f"prompts:/{name}@live").version == 1
    assert [one.name for one in mlflow_genai.search_prompts(filter_string=f"name = '{name}'")] == [name]
    mlflow_genai.set_prompt_tag(name, "k", "v")
    mlflow_genai.set_prompt_version_tag(name, 1, "vk", "vv")
    assert mlflow_genai.get_prompt_tags(name)["k"] == "v"
    assert mlflow_genai.load_prompt(f"prompts:/{name}/1").tags == {"author": "me", "vk": "vv"}
    mlflow_genai.delete_prompt_tag(name, "k")
    mlflow_genai.delete_prompt_version_tag(name, 1, "vk")
    client = MlflowClient()
    assert [one.version for one in client.search_prompt_versions(name)] == [2, 1]
    assert name not in {one.name for one in client.search_registered_models()}

    @mlflow.trace
    def uses() -> str:
        return mlflow_genai.load_prompt(f"prompts:/{name}/1").format(name="z")

    uses()
    mlflow.flush_trace_async_logging()
    found = mlflow.search_traces(locations=[experiment], filter_string=f"prompt = '{name}/1'")
    assert len(found) == 1
    mlflow_genai.delete_prompt_alias(name, "live")
    with pytest.raises(MlflowException):
        mlflow_genai.load_prompt(f"prompts:/{name}@live", allow_missing=False)
    for version in ("1", "2"):
        client.delete_prompt_version(name, version)
    client.delete_prompt(name)
    assert list(mlflow_genai.search_prompts(filter_string=f"name = '{name}'")) == []
