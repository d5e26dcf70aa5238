"""What the images that a detector was trained on are like, and in what respects another image differs from them."""

from addnet.faces.domain.domain import Domain
from addnet.faces.domain.measures import FaceMeasures, measure

__all__ = ["Domain", "FaceMeasures", "measure"]
