"""A proxy before the gateway may choose the version of each request, in every protocol, by a header."""

from tests.serving.conftest import Plane
from trimtab.serving.routes import Version

ROW = {"dataframe_records": [{"a": 1.0, "b": 2}]}
TENSORS = {
    "inputs": [
        {"name": "a", "shape": [1], "datatype": "FP64", "data": [1.0]},
        {"name": "b", "shape": [1], "datatype": "INT64", "data": [2]},
    ]
}


def test_the_header_chooses_the_version_and_shadows_still_see_a_copy(plane: Plane) -> None:
    champion = plane.wait_socket("one", plane.start_rule("one"))
    plane.route(
        Version("1", "m", 100, "champion", [champion]),
        Version("2", "m", 0, "warm", [champion]),
        Version("3", "m", 100, "shadow", [champion]),
    )
    plane.wait_up()
    for path, body in (("/endpoints/m/invocations", ROW), ("/v2/models/m/infer", TENSORS)):
        for version in ("1", "2"):
            status, said, headers = plane.request("POST", path, body, {"x-model-version": version})
            assert (status, headers["x-model-version"]) == (200, version), said
    status, said, _ = plane.request("POST", "/v2/models/m/infer", TENSORS, {"x-model-version": "9"})
    assert status == 404
    assert "9" in said["error"]
    assert plane.request("POST", "/v2/models/m/versions/1/infer", TENSORS, {"x-model-version": "2"})[2][
        "x-model-version"
    ] == ("1")
    records = [one for one in plane.records(9) if one.version == "3"]
    assert len(records) == 4
