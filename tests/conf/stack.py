"""conf/aws/pycast.yaml created in moto, an AWS in this process; and its text, with the scripts that nodes run."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from tests.conf.examples import CONF

FILE = CONF / "aws" / "pycast.yaml"
REGION = "eu-west-1"
ZONES = ("eu-west-1a", "eu-west-1b", "eu-west-1c")
NAME = "radio"
IMAGE = "/test/image"
WHEEL = ("wheels", "radio/pycast_server-0.1.0-py3-none-any.whl")

Document = dict[str, Any]


class CloudFormationLoader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref X` is {"Ref": "X"}, `!Sub X` is {"Fn::Sub": "X"}."""


def _short_form(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> Document:
    value: object = None
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    return {tag if tag == "Ref" else f"Fn::{tag}": value}


CloudFormationLoader.add_multi_constructor("!", _short_form)


def template(file: Path = FILE) -> Document:
    document: Document = yaml.load(file.read_text(), CloudFormationLoader)
    return document


def cfn_lint(file: Path) -> str:
    """All that it has to say about a template; empty when that is right."""
    program = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run([str(program), str(file)], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr + (f"status {done.returncode}" if done.returncode else "")


def properties(resource: str) -> Document:
    found: Document = template()["Resources"][resource]["Properties"]
    return found


def user_data() -> str:
    """The start script of a node of the stack "radio", as CloudFormation would fill it in."""
    script: str = properties("Template")["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Sub"]
    values = {
        "AWS::Region": REGION,
        "AWS::StackName": NAME,
        "Hostname": "radio.example.org",
        "VpcCidr": "10.0.0.0/16",
        "Secret": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:radio",
        "EtcdEndpoints": "",
        "WheelBucket": WHEEL[0],
        "WheelKey": WHEEL[1],
    }
    return re.sub(r"\$\{([\w:]+)\}", lambda found: values[found[1]], script)


def files_of_a_node() -> dict[str, str]:
    """What the start script writes: path and text."""
    return dict(re.findall(r"^cat >(\S+) <<'END'\n(.*?)^END$", user_data(), re.MULTILINE | re.DOTALL))


@dataclass(frozen=True, slots=True)
class Stack:
    """The stack as created, and who to ask about it."""

    resources: dict[str, str]
    """Physical ids by their names in the template."""
    outputs: dict[str, str]
    clients: dict[str, Any]

    def ask(self, service: str) -> Any:
        return self.clients.setdefault(service, _client(service))


@contextmanager
def created() -> Iterator[Stack]:
    """The stack "radio" in a network of three zones. Gone with everything else when the block ends."""
    # moto takes seconds to load, and all workers of pytest load this file.
    from moto import mock_aws
    from moto.cloudformation import parsing

    from tests.conf.moto_types import TYPES

    known = parsing.get_model_map()
    with mock_aws(), patch.object(parsing, "get_model_map", lambda: known | TYPES):
        ec2, ssm = _client("ec2"), _client("ssm")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
            for number, zone in enumerate(ZONES)
        ]
        image = ec2.describe_images(Filters=[{"Name": "architecture", "Values": ["x86_64"]}])["Images"][0]["ImageId"]
        ssm.put_parameter(Name=IMAGE, Value=image, Type="String")
        parameters = {
            "VpcId": vpc,
            "VpcCidr": "10.0.0.0/16",
            "SubnetIds": ",".join(subnets),
            "WheelBucket": WHEEL[0],
            "WheelKey": WHEEL[1],
            "SourcePassword": "source-password-1",
            "AdminPassword": "admin-password-12",
        }
        cloudformation = _client("cloudformation")
        cloudformation.create_stack(
            StackName=NAME,
            # moto knows Amazon's own public parameters only, not Debian's.
            TemplateBody=FILE.read_text().replace(template()["Parameters"]["ImageId"]["Default"], IMAGE),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        (described,) = cloudformation.describe_stacks(StackName=NAME)["Stacks"]
        assert described["StackStatus"] == "CREATE_COMPLETE", json.dumps(described, default=str)
        made = cloudformation.describe_stack_resources(StackName=NAME)["StackResources"]
        yield Stack(
            {one["LogicalResourceId"]: one.get("PhysicalResourceId", "") for one in made},
            {one["OutputKey"]: one["OutputValue"] for one in described["Outputs"]},
            {},
        )


def _client(service: str) -> Any:
    import boto3

    return boto3.client(service, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")
