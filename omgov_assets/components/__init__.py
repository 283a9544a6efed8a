"""Floor 9: Dagster components, one kind for each thing that a firm declares rather than programs."""

from omgov_assets.components.business_system import BusinessSystemComponent

__all__ = ["BusinessSystemComponent"]
