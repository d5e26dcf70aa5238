"""A checkpoint → a file or folder that can be used without this program: ONNX, torch.export, safetensors."""

from addnet.inference.export.exporting import FORMATS, Export, export_checkpoint
from addnet.inference.export.hub_folder import HubFolder, load_exported
from addnet.inference.network import network_of

__all__ = ["FORMATS", "Export", "HubFolder", "export_checkpoint", "load_exported", "network_of"]
