"""Imports: the records that a cell names are looked up for the caller, and external ids are given in nobody's name."""

from odoo import models
from odoo.tools import SQL

from ..core.call import BY_VALUES, Operation
from ..seams.exchange import working_for

_DATA = "ir.model.data"


class IrFieldsConverter(models.AbstractModel):
    _inherit = "ir.fields.converter"

    # rests on odoo/addons/base/models/ir_fields.py, db_id_for: finds a record by its name, and its id either way
    def db_id_for(self, model, field, subfield, value, savepoint):
        exchange = working_for(self.env.cr)
        if exchange is None or not (exchange.scoped or exchange.closures):
            return super().db_id_for(model, field, subfield, value, savepoint)
        with exchange.showing():
            found = super().db_id_for(model, field, subfield, value, savepoint)
        if found[0]:
            self.env["api.data"]._check_references({(field.comodel_name, found[0])})
        return found


class IrModelData(models.Model):
    _inherit = "ir.model.data"

    # rests on odoo/addons/base/models/ir_model.py, _update_xmlids: asks for no access, as `load` comes by it
    def _update_xmlids(self, data_list, update=False):
        exchange = working_for(self.env.cr)
        if exchange is not None and exchange.scoped and exchange.call.target.operations & BY_VALUES:
            self._require_names({data["xml_id"] for data in data_list})
        return super()._update_xmlids(data_list, update)

    def _require_names(self, xml_ids):
        """Refuse new external ids in the name of an installed module: what it looks up by them would be another."""
        modules = self.pool._init_modules
        names = [tuple(xml_id.split(".", 1)) for xml_id in xml_ids if xml_id.partition(".")[0] in modules]
        exchange, guard = working_for(self.env.cr), self.env["api.guard"]
        if not names or not (deny := guard._judge_nested(exchange, _DATA, Operation.CREATE)):
            return
        query = SQL("SELECT count(*) FROM ir_model_data WHERE (module, name) IN %s", tuple(names))
        if self.env.execute_query(query)[0][0] < len(names):
            raise guard._refused_inside(exchange, deny, f"{_DATA}: create")
