"""How the images were that a detector learnt from, and what of another image is unlike them."""

from addnet.faces.domain.domain import Domain
from addnet.faces.domain.measures import FaceMeasures, measure

__all__ = ["Domain", "FaceMeasures", "measure"]
