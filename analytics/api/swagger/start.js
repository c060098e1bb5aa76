// Starts Swagger UI on our own OpenAPI document; validatorUrl null keeps it from asking a foreign host.
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
});
