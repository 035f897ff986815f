"""What `test_other_clients` has the clients' own interpreter do: `python other_clients.py NAME PORT GRPC_PORT`."""

import asyncio
import json
import sys

ROWS = [[1.0, 2, 3.0], [-1.0, 2, 3.0]]


def runtime(port: str, token: str | None):
    import boto3

    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="local",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        aws_session_token=token,
    )


def boto3_predicts(port: str, _grpc_port: str) -> None:
    body = json.dumps({"instances": ROWS}).encode()
    client = runtime(port, None)
    said = client.invoke_endpoint(EndpointName="m", ContentType="application/json", Body=body)
    assert json.loads(said["Body"].read()) == {"predictions": [1, 0]}
    assert said["ContentType"] == "application/json"
    said = client.invoke_endpoint(
        EndpointName="m",
        ContentType="text/csv",
        Accept="text/csv",
        Body=b"1,2,3\n-1,2,3\n",
        CustomAttributes="any",
        InferenceId="mine",
        TargetVariant="AllTraffic",
    )
    assert said["Body"].read() == b"1\n0\n"
    kind = "application/jsonlines"
    lines = b'{"features": [1, 2, 3]}\n'
    said = client.invoke_endpoint(EndpointName="m", ContentType=kind, Accept=kind, Body=lines)
    assert said["Body"].read() == b'{"prediction":1}\n'
    refused(client, b"{}", 400)


def boto3_signs_in(port: str, _grpc_port: str) -> None:
    body = json.dumps({"instances": ROWS}).encode()
    said = runtime(port, "key").invoke_endpoint(EndpointName="m", ContentType="application/json", Body=body)
    assert json.loads(said["Body"].read()) == {"predictions": [1, 0]}
    refused(runtime(port, "other"), body, 401)
    refused(runtime(port, None), body, 401)


def refused(client, body: bytes, status: int) -> None:
    from botocore.exceptions import ClientError

    try:
        client.invoke_endpoint(EndpointName="m", ContentType="application/json", Body=body)
    except ClientError as error:
        got = error.response["ResponseMetadata"]["HTTPStatusCode"]
    else:
        got = 200
    assert got == status, got


def kserve_rest_v2(port: str, _grpc_port: str) -> None:
    import numpy as np
    from kserve import InferenceRESTClient, InferInput, InferRequest
    from kserve.inference_client import RESTConfig

    async def ask() -> None:
        client = InferenceRESTClient(RESTConfig(protocol="v2"))
        base = f"http://127.0.0.1:{port}"
        assert await client.is_server_live(base)
        assert await client.is_server_ready(base)
        assert await client.is_model_ready(base, "m")
        for binary in (True, False):
            matrix = InferInput("input", [2, 3], "FP64")
            matrix.set_data_from_numpy(np.array(ROWS), binary_data=binary)
            answer = await client.infer(base, InferRequest("m", [matrix]), model_name="m")
            assert answer.outputs[0].as_numpy().tolist() == [1, 0]
        await client.close()

    asyncio.run(ask())


def kserve_rest_v1(port: str, _grpc_port: str) -> None:
    from kserve import InferenceRESTClient
    from kserve.inference_client import RESTConfig

    async def ask() -> None:
        client = InferenceRESTClient(RESTConfig(protocol="v1"))
        base = f"http://127.0.0.1:{port}"
        assert await client.is_model_ready(base, "m")
        answer = await client.infer(base, {"instances": ROWS}, model_name="m")
        assert answer == {"predictions": [1, 0]}
        await client.close()

    asyncio.run(ask())


def kserve_grpc(_port: str, grpc_port: str) -> None:
    import numpy as np
    from kserve import InferenceGRPCClient, InferInput, InferRequest

    async def ask() -> None:
        client = InferenceGRPCClient(f"127.0.0.1:{grpc_port}")
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready("m")
        for binary in (True, False):
            matrix = InferInput("input", [2, 3], "FP64")
            matrix.set_data_from_numpy(np.array(ROWS), binary_data=binary)
            answer = await client.infer(InferRequest("m", [matrix]))
            assert answer.outputs[0].as_numpy().tolist() == [1, 0]
        await client.close()

    asyncio.run(ask())


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
