"""What moto's CloudFormation cannot create, or only in part: made by the service's own call, as AWS does it.

The properties of these resources have the names of the call's parameters, so boto3 checks each against AWS's own model
of the service. Attributes of balancers and target groups, which moto's own classes pass over, are set by a second call.
"""

import json
from abc import abstractmethod
from typing import Any, ClassVar

import boto3
from moto.core.common_models import CloudFormationModel
from moto.elbv2.models import elbv2_backends

Properties = dict[str, Any]


class Made(CloudFormationModel):
    """A resource that a call has made; its `Ref` is its id."""

    service: ClassVar[str]
    attributes: ClassVar[frozenset[str]] = frozenset()
    """What the template may ask of it; moto's own object answers."""

    def __init__(self, physical_id: str) -> None:
        self.physical_resource_id = physical_id

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr in cls.attributes

    def is_created(self) -> bool:
        return True

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Properties, account_id: str, region_name: str, **kwargs: Any
    ) -> Any:
        client = boto3.client(
            cls.service, region_name=region_name, aws_access_key_id="test", aws_secret_access_key="test"
        )
        return cls.made(client, resource_name, cloudformation_json["Properties"], account_id, region_name)

    @classmethod
    @abstractmethod
    def made(cls, client: Any, name: str, properties: Properties, account_id: str, region: str) -> Any:
        """Makes it by the service's own call, and returns it."""


class Secret(Made):
    """With a key of its own making in it."""

    service = "secretsmanager"

    @classmethod
    def made(cls, client: Any, name: str, properties: Properties, account_id: str, region: str) -> Any:
        generate = dict(properties["GenerateSecretString"])
        text, key = json.loads(generate.pop("SecretStringTemplate")), generate.pop("GenerateStringKey")
        text[key] = client.get_random_password(**generate)["RandomPassword"]
        secret = client.create_secret(Name=name, SecretString=json.dumps(text), Description=properties["Description"])
        return cls(secret["ARN"])


class LifecycleHook(Made):
    service = "autoscaling"

    @classmethod
    def made(cls, client: Any, name: str, properties: Properties, account_id: str, region: str) -> Any:
        client.put_lifecycle_hook(**properties)
        return cls(properties["LifecycleHookName"])


class ScalingPolicy(Made):
    service = "autoscaling"

    @classmethod
    def made(cls, client: Any, name: str, properties: Properties, account_id: str, region: str) -> Any:
        client.put_scaling_policy(PolicyName=name, **properties)
        return cls(name)


class Alarm(Made):
    service = "cloudwatch"

    @classmethod
    def made(cls, client: Any, name: str, properties: Properties, account_id: str, region: str) -> Any:
        client.put_metric_alarm(AlarmName=name, **properties)
        return cls(name)


class LoadBalancer(Made):
    service = "elbv2"
    attributes = frozenset({"DNSName"})

    @classmethod
    def made(cls, client: Any, name: str, properties: Properties, account_id: str, region: str) -> Any:
        properties = dict(properties)
        attributes = properties.pop("LoadBalancerAttributes")
        arn = client.create_load_balancer(Name=name, **properties)["LoadBalancers"][0]["LoadBalancerArn"]
        client.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=attributes)
        return elbv2_backends[account_id][region].load_balancers[arn]


class TargetGroup(Made):
    service = "elbv2"

    @classmethod
    def made(cls, client: Any, name: str, properties: Properties, account_id: str, region: str) -> Any:
        properties = dict(properties)
        attributes = properties.pop("TargetGroupAttributes")
        arn = client.create_target_group(Name=name, **properties)["TargetGroups"][0]["TargetGroupArn"]
        client.modify_target_group_attributes(TargetGroupArn=arn, Attributes=attributes)
        return elbv2_backends[account_id][region].target_groups[arn]


TYPES: dict[str, Any] = {
    "AWS::SecretsManager::Secret": Secret,
    "AWS::AutoScaling::LifecycleHook": LifecycleHook,
    "AWS::AutoScaling::ScalingPolicy": ScalingPolicy,
    "AWS::CloudWatch::Alarm": Alarm,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": LoadBalancer,
    "AWS::ElasticLoadBalancingV2::TargetGroup": TargetGroup,
}
