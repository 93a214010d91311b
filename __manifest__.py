{
    "name": "API Guard",
    "version": "19.0.1.0.0",
    "summary": "Policies on API keys, enforced at every door, and an audit entry for every call",
    "author": "API Guard contributors",
    "website": "https://github.com/api-guard/api_guard",
    "license": "LGPL-3",
    "category": "Technical",
    "depends": ["base_setup", "web", "rpc"],
    "data": [
        "security/api_guard_groups.xml",
        "security/ir.model.access.csv",
        "data/api_door_data.xml",
        "views/api_guard_templates.xml",
    ],
    "application": True,
    "post_load": "post_load",
    "uninstall_hook": "uninstall_hook",
}
