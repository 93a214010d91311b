from . import core, seams
from . import models, wizards, controllers
from .hooks import post_load, uninstall_hook
