// What Odoo's web client gives to every module as a global.
const globals = Object.fromEntries(
    ["window", "document", "navigator", "console", "fetch", "URL", "setTimeout", "clearTimeout",
     "Blob", "odoo", "luxon", "owl"].map((name) => [name, "readonly"]),
);

export default [
    {
        languageOptions: { ecmaVersion: 2022, sourceType: "module", globals },
        rules: {
            eqeqeq: "error",
            "no-undef": "error",
            "no-unused-vars": "error",
            "no-var": "error",
            "prefer-const": "error",
        },
    },
];
