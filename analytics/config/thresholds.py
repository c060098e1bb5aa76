"""Settings of the thresholds that the mission names; they keep its names."""

from pydantic import Field
from pydantic_settings import BaseSettings

from analytics.config.fields import also


class ThresholdSettings(BaseSettings):
    """From where on something deserves attention."""

    alert_security_threshold: float = Field(
        default=5.0,
        ge=0,
        validation_alias=also("ALERT_SECURITY_THRESHOLD"),
        description="Risk score from which an exchange deserves attention (mission's scale).",
    )
    alert_latency_threshold: float = Field(
        default=5.0,
        gt=0,
        validation_alias=also("ALERT_LATENCY_THRESHOLD"),
        description="Seconds from which an answer counts as slow.",
    )
    auto_block_critical_threats: bool = Field(
        default=True,
        validation_alias=also("AUTO_BLOCK_CRITICAL_THREATS"),
        description="Whether CRITICAL exchanges should be blocked; recommendations tell when they were not.",
    )
