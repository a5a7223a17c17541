"""An S3 server on the loopback, with users whose keys may do everything, only put, or nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import requests
import s3fs
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from moto.server import ThreadedMotoServer

REGION = "us-east-1"
BUCKET = "lake"
_POLICIES = {
    "admin": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
    "putter": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::*/*"}],
    "stranger": [],
}


class S3:
    """A running server.

    Attributes:
        url: Where it listens.
        admin: Amazon's own client, with a key that may do everything.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._keys = {user: self._make_user(user, policy) for user, policy in _POLICIES.items()}
        requests.post(f"{url}/moto-api/reset-auth", data=b"0", timeout=10)  # from now on permissions are checked
        self.admin = self._client("s3", self._keys["admin"])
        self.admin.create_bucket(Bucket=BUCKET)

    def filesystem(self, conn_id: str | None, **options) -> s3fs.S3FileSystem:
        """Make a file system with a user's key, the user being what Airflow takes for a connection's id."""
        try:
            key, secret = self._keys[conn_id or "admin"]
        except KeyError:
            raise AirflowNotFoundException(f"The conn_id `{conn_id}` isn't defined") from None
        return s3fs.S3FileSystem(
            key=key, secret=secret, endpoint_url=self.url, client_kwargs={"region_name": REGION}, **options
        )

    def empty(self) -> None:
        """Remove every object, every upload that has not ended, and every bucket but the one."""
        for bucket in self.buckets():
            for key in self.objects(bucket):
                self.admin.delete_object(Bucket=bucket, Key=key)
            for upload in self.uploads(bucket):
                self.admin.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
            if bucket != BUCKET:
                self.admin.delete_bucket(Bucket=bucket)

    def buckets(self) -> list[str]:
        """Return the names of the buckets."""
        return [bucket["Name"] for bucket in self.admin.list_buckets()["Buckets"]]

    def objects(self, bucket: str = BUCKET) -> dict[str, bytes]:
        """Return all objects of a bucket, with their content."""
        listed = self.admin.list_objects_v2(Bucket=bucket).get("Contents", [])
        return {entry["Key"]: self._content(bucket, entry["Key"]) for entry in listed}

    def uploads(self, bucket: str = BUCKET) -> list[dict[str, str]]:
        """Return the uploads that have not ended."""
        uploads: list[dict[str, str]] = self.admin.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        return uploads

    def _content(self, bucket: str, key: str) -> bytes:
        content: bytes = self.admin.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def _make_user(self, user: str, policy: list[dict[str, str]]) -> tuple[str, str]:
        iam = self._client("iam", ("setup", "setup"))
        iam.create_user(UserName=user)
        if policy:
            document = json.dumps({"Version": "2012-10-17", "Statement": policy})
            iam.put_user_policy(UserName=user, PolicyName="s3", PolicyDocument=document)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def _client(self, service: str, key: tuple[str, str]):
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key[0],
            aws_secret_access_key=key[1],
        )


@contextmanager
def run_s3() -> Iterator[S3]:
    """Run a server on a free port until the block ends."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield S3(f"http://{host}:{port}")
    finally:
        server.stop()
