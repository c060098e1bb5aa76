"""Settings of the control channel: how users are judged where no policy says it."""

from pydantic import Field
from pydantic_settings import BaseSettings

from analytics.types.control import RiskRule


class ControlSettings(BaseSettings):
    """What holds for tenants whose policy does not speak of user risk."""

    risk_half_life_s: float = Field(
        default=3_600.0,
        ge=60,
        le=2_592_000,
        description="Seconds in which a user's risk halves, unless a policy says it.",
    )
    risk_quarantine_at: float = Field(
        default=0.0,
        ge=0,
        le=1_000_000,
        description="Risk from which a user is put in quarantine, unless a policy says it; 0: by hand only.",
    )
    risk_quarantine_s: float = Field(
        default=900.0, ge=1, le=2_592_000, description="Seconds that such a quarantine lasts, unless a policy says it."
    )

    @property
    def risk_rule(self) -> RiskRule:
        """The rule of tenants whose policy does not speak of it."""
        return RiskRule(self.risk_half_life_s, self.risk_quarantine_at, self.risk_quarantine_s)
