"""What secrets look like: one line per kind, as data.

In: nothing. Out: TOKENS (a head that only this vendor writes), FREE (no head, so a gate finds them), NAMED (only the name
beside the value tells whose it is), FORMS (keys, URLs, headers and assignments that secrets.py reads itself).
A table of Python and not a pack: a shape is a head, a class of characters and a floor of entropy, not a phrase.
In patterns %a is a letter or digit, %w one of those or _ or -, %x a lower-case hex digit, %u a UUID.
Never: more than 400 code points of a token without a head, a pattern that other software's output matches by design.

Source of all: the vendors' documentation of their tokens as of 2025 (named per line, "docs" is the vendor's API
documentation), checked against GitHub's list of secret scanning partners' types. Entropy floors: bits per character that
random values of that alphabet and length keep above (tests/sidecar/detectors/test_shapes.py measures them).
"""

from dataclasses import dataclass

_CLASSES = {
    "%a": "[A-Za-z0-9]",
    "%w": "[A-Za-z0-9_-]",
    "%x": "[a-f0-9]",
    "%u": "[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of secret. entropy is the least bits per character of what stands behind the head.

    Shape: heads are literals before pattern; gate is what every text with a match holds; names are words of the name that
    a value is assigned to. Weights: an alert (>= 5) and never CRITICAL (15) alone.
    """

    id: str
    heads: tuple[str, ...]
    pattern: str
    source: str
    weight: float = 9.0
    entropy: float = 3.0
    gate: str = ""
    names: str = ""


def expanded(pattern: str) -> str:
    """Return a pattern in RE2 syntax, its classes written out."""
    for short, long in _CLASSES.items():
        pattern = pattern.replace(short, long)
    return pattern


def _token(id_: str, heads: str, pattern: str, source: str, weight: float = 9.0) -> Shape:
    """Return a shape with heads (separated by blanks). Hexadecimal has at most four bits, so its floor is lower."""
    return Shape(f"secrets.{id_}", tuple(heads.split()), pattern, source, weight, 2.5 if "%a" not in pattern else 3.0)


def _free(id_: str, gate: str, pattern: str, source: str, weight: float = 9.0) -> Shape:
    return Shape(f"secrets.{id_}", (), pattern, source, weight, 2.6, gate)


def _named(id_: str, names: str, pattern: str, source: str) -> Shape:
    return Shape(f"secrets.{id_}", (), pattern, source, 8.0, 2.5, "", names)


def _form(id_: str, source: str, weight: float) -> Shape:
    return Shape(f"secrets.{id_}", (), "", source, weight)


# fmt: off
TOKENS = (
    # Models
    _token("anthropic_key", "sk-ant-", r"[a-z]{2,6}\d{2}-%w{60,}", "Anthropic console"),
    _token("openrouter_key", "sk-or-v1-", r"%x{64}", "OpenRouter docs, authentication"),
    _token("langfuse_key", "sk-lf-", r"%u", "Langfuse docs, API keys", 8.0),
    _token("openai_key", "sk-proj- sk-svcacct- sk-admin- sk-None- sk-", r"%w{20,}", "OpenAI API reference"),
    _token("huggingface_token", "hf_ api_org_", r"%a{30,}", "Hugging Face docs, access tokens", 8.0),
    _token("groq_key", "gsk_", r"%a{48,56}", "Groq console"),
    _token("perplexity_key", "pplx-", r"%a{40,56}", "Perplexity docs"),
    _token("replicate_token", "r8_", r"%a{37}", "Replicate docs"),
    _token("xai_key", "xai-", r"%a{70,90}", "xAI console"),
    _token("together_key", "tgp_v1_", r"%w{40,50}", "Together docs"),
    _token("fireworks_key", "fw_", r"%a{22,24}", "Fireworks docs"),
    _token("nvidia_key", "nvapi-", r"%w{60,70}", "NVIDIA NGC docs"),
    _token("langsmith_key", "lsv2_pt_ lsv2_sk_", r"%x{32}_%x{10}", "LangSmith docs"),
    _token("wandb_key", "wandb_v1_", r"%a{20,}(?:_%a{20,})?", "Weights & Biases docs"),
    _token("pinecone_key", "pcsk_", r"%a{5,7}_%a{60,70}", "Pinecone docs"),
    _token("voyage_key", "pa-", r"%w{43}", "Voyage docs"),
    _token("jina_key", "jina_", r"%w{60}", "Jina docs"),
    _token("tavily_key", "tvly-dev- tvly-prod- tvly-", r"%a{32}", "Tavily docs"),
    _token("firecrawl_key", "fc-", r"%x{32}", "Firecrawl docs"),
    _token("cerebras_key", "csk-", r"%a{48}", "Cerebras docs"),
    _token("anyscale_key", "esecret_", r"%a{26,}", "Anyscale docs"),
    _token("e2b_key", "e2b_", r"%x{40}", "E2B docs"),
    # Clouds
    _token("aws_access_key", "AKIA ASIA ABIA ACCA", r"[A-Z2-7]{16}", "AWS IAM identifiers", 8.0),
    _token("aws_bedrock_key", "ABSK", r"[A-Za-z0-9+/]{100,}={0,2}", "AWS Bedrock API keys"),
    _token("aws_mws_key", "amzn.mws.", r"%u", "Amazon MWS"),
    _token("google_api_key", "AIza", r"%w{35}", "Google Cloud API keys", 8.0),
    _token("google_oauth_token", "ya29.", r"[A-Za-z0-9_.-]{30,}", "Google OAuth 2.0"),
    _token("google_oauth_secret", "GOCSPX-", r"%w{28}", "Google OAuth 2.0 clients"),
    _token("google_refresh_token", "1//0", r"%w{36,}", "Google OAuth 2.0"),
    _token("digitalocean_token", "dop_v1_ doo_v1_ dor_v1_", r"%x{64}", "DigitalOcean API reference"),
    _token("alibaba_key", "LTAI", r"%a{12,24}", "Alibaba Cloud AccessKey", 8.0),
    _token("tencent_key", "AKID", r"%a{32}", "Tencent Cloud SecretId", 8.0),
    _token("yandex_key", "AQVN", r"%w{35,38}", "Yandex Cloud API keys"),
    _token("heroku_token", "HRKU-AA", r"%w{58}", "Heroku platform API"),
    _token("flyio_token", "fo1_ fm1r_ fm1a_ fm1_ fm2_", r"[A-Za-z0-9+/=_-]{43,}", "Fly.io docs, tokens"),
    _token("render_key", "rnd_", r"%a{28,36}", "Render docs"),
    _token("vercel_token", "vcp_ vci_ vca_ vcr_ vck_", r"%a{24,64}", "Vercel docs"),
    _token("netlify_token", "nfp_ nfc_ nfo_ nfu_ nfb_", r"%w{36}", "Netlify docs"),
    _token("cloudflare_origin_key", "v1.0-", r"%x{24}-%x{146}", "Cloudflare Origin CA"),
    _token("supabase_key", "sbp_", r"%x{40}", "Supabase management API"),
    _token("supabase_secret", "sb_secret_", r"%w{20,}", "Supabase API keys"),
    _token("neon_key", "napi_", r"%a{60,70}", "Neon API"),
    _token("planetscale_token", "pscale_tkn_ pscale_pw_ pscale_oauth_", r"[A-Za-z0-9_.=-]{32,64}", "PlanetScale docs"),
    _token("mongodb_atlas_secret", "mdb_sa_sk_", r"%w{40,}", "MongoDB Atlas service accounts"),
    _token("databricks_token", "dapi", r"%x{32}(?:-\d)?", "Databricks token format"),
    _token("clickhouse_key", "4b1d", r"%a{38}", "ClickHouse Cloud"),
    _token("elastic_key", "essu_", r"[A-Za-z0-9+/=_-]{40,}", "Elastic Cloud API keys"),
    # Code, CI, registries
    _token("github_token", "github_pat_ ghp_ gho_ ghu_ ghs_ ghr_",
          r"%a{36,}(?:_%a{40,})?|%a{20,24}_%a{50,}", "GitHub docs, token formats (2021)"),
    _token("gitlab_token", "glpat- gldt- glrt- glptt- glft- glcbt- glimt- glagent- gloas- glsoat- glffct- GR1348941",
           r"%w{20,}(?:\.[0-9a-z]{2}\.?[0-9a-z]{7,9})?", "GitLab docs, token prefixes"),
    _token("atlassian_token", "ATATT3 ATCTT3", r"[A-Za-z0-9_=-]{60,}", "Atlassian API tokens"),
    _token("bitbucket_token", "ATBB BBDC-", r"[A-Za-z0-9+/]{24,}", "Bitbucket app passwords"),
    _token("sourcegraph_token", "sgp_ sgs_ slk_", r"(?:%x{16}_|local_)?%x{40}", "Sourcegraph docs"),
    _token("circleci_token", "CCIPAT_ CCIPRJ_", r"%a{20,}_%x{40}", "CircleCI docs"),
    _token("buildkite_token", "bkua_ bkct_ bkpat_", r"%a{36,}", "Buildkite docs"),
    _token("pulumi_token", "pul-", r"%x{40}", "Pulumi docs"),
    _token("doppler_token", "dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.", r"(?:[a-z0-9_-]{2,35}\.)?%a{40,44}", "Doppler docs"),
    _token("vault_token", "hvs. hvb. hvr.", r"%w{24,}", "HashiCorp Vault tokens"),
    _token("onepassword_token", "ops_eyJ", r"[A-Za-z0-9+/_-]{200,}={0,3}", "1Password service accounts"),
    _token("docker_token", "dckr_pat_ dckr_oat_", r"%w{27,}", "Docker access tokens"),
    _token("octopus_key", "API-", r"[A-Z0-9]{25,36}", "Octopus Deploy docs"),
    _token("sonarqube_token", "sqp_ squ_ sqa_", r"%x{40}", "SonarQube docs"),
    _token("artifactory_key", "AKCp", r"%a{60,}", "JFrog Artifactory"),
    _token("npm_token", "npm_", r"%a{36}", "npm docs, token format (2021)", 8.0),
    _token("pypi_token", "pypi-AgE", r"%w{60,}", "PyPI docs, API tokens"),
    _token("rubygems_key", "rubygems_", r"%x{48}", "RubyGems guides"),
    _token("crates_token", "cio", r"%a{32}", "crates.io", 8.0),
    _token("nuget_key", "oy2", r"[a-z0-9]{43}", "NuGet docs"),
    _token("clojars_token", "CLOJARS_", r"[a-z0-9]{60}", "Clojars wiki"),
    _token("deno_token", "ddp_ ddo_ ddw_", r"%a{36}", "Deno Deploy docs"),
    _token("postman_key", "PMAK-", r"%x{24}-%x{34}", "Postman docs"),
    _token("prefect_key", "pnu_ pnb_", r"%a{36}", "Prefect docs"),
    # Payments and shops
    _token("stripe_key", "sk_live_ rk_live_ sk_prod_ rk_prod_", r"%a{20,}", "Stripe API keys", 10.0),
    _token("stripe_webhook_secret", "whsec_", r"[A-Za-z0-9+/]{32,}={0,2}", "Stripe webhooks"),
    _token("square_token", "EAAA", r"%w{60}", "Square docs"),
    _token("square_secret", "sq0csp- sq0atp-", r"%w{22,43}", "Square docs"),
    _token("braintree_token", "access_token$production$", r"[a-z0-9]{16}\$%x{32}", "Braintree docs"),
    _token("shopify_token", "shpat_ shpca_ shppa_ shpss_", r"[a-fA-F0-9]{32}", "Shopify docs"),
    _token("razorpay_key", "rzp_live_", r"%a{14}", "Razorpay docs", 7.0),
    _token("flutterwave_key", "FLWSECK-", r"%x{32}-X", "Flutterwave docs"),
    _token("plaid_token", "access-production-", r"%u", "Plaid docs"),
    _token("mollie_key", "live_", r"%w{30,44}", "Mollie and GoCardless docs", 8.0),
    _token("duffel_token", "duffel_live_", r"%w{43}", "Duffel docs"),
    _token("easypost_key", "EZAK", r"%a{54}", "EasyPost docs"),
    _token("shippo_token", "shippo_live_", r"%x{40}", "Shippo docs"),
    # Messages and mail
    _token("slack_token", "xoxb- xoxp- xoxa- xoxo- xoxr- xoxs- xoxe- xoxe.xoxp- xoxe.xoxb-",
          r"[A-Za-z0-9-]{20,}", "Slack token types"),
    _token("slack_app_token", "xapp-", r"\d-[A-Z0-9]{8,12}-\d{10,14}-[a-z0-9]{32,}", "Slack token types"),
    _token("sendgrid_key", "SG.", r"%w{20,24}\.%w{40,46}", "SendGrid API keys"),
    _token("mandrill_key", "md-", r"%w{22}", "Mandrill docs", 7.0),
    _token("brevo_key", "xkeysib- xsmtpsib-", r"%x{64}-%a{16}", "Brevo docs"),
    _token("resend_key", "re_", r"%a{8}_%a{24}", "Resend docs"),
    _token("mailersend_token", "mlsn.", r"%x{64}", "MailerSend docs"),
    _token("klaviyo_key", "pk_", r"%x{34}", "Klaviyo docs"),
    _token("intercom_token", "dG9rO", r"[A-Za-z0-9+/]{40,}={0,2}", "Intercom docs"),
    _token("facebook_token", "EAA", r"[A-Za-z0-9]{80,}", "Meta graph API access tokens"),
    # Watching
    _token("newrelic_key", "NRAK- NRIQ- NRRA- NRSP- NRII-", r"%w{26,36}", "New Relic docs"),
    _token("sentry_token", "sntrys_ sntryu_", r"[A-Za-z0-9+/=_-]{60,}", "Sentry docs"),
    _token("grafana_token", "glsa_ glc_", r"[A-Za-z0-9+/_]{32,}={0,2}", "Grafana docs"),
    _token("honeycomb_key", "hcaik_ hcamk_ hcbik_ hcxik_", r"%a{40,64}", "Honeycomb docs"),
    _token("dynatrace_token", "dt0c01. dt0s01. dt0s16. dt0s02. dt0e01.", r"[A-Z0-9]{8,24}\.[A-Z0-9]{64}", "Dynatrace token format"),
    _token("posthog_key", "phx_", r"%a{40,50}", "PostHog docs"),
    _token("axiom_token", "xaat- xapt-", r"%u", "Axiom docs"),
    _token("launchdarkly_key", "sdk- api-", r"%u", "LaunchDarkly docs", 7.0),
    # Work and other services
    _token("linear_key", "lin_api_ lin_oauth_", r"%a{40,64}", "Linear docs"),
    _token("notion_token", "ntn_ secret_", r"%a{43,46}", "Notion docs"),
    _token("figma_token", "figd_ figu_ figo_", r"%w{40,}", "Figma docs"),
    _token("hubspot_token", "pat-na1- pat-na2- pat-eu1- pat-ap1-", r"%u", "HubSpot docs"),
    _token("typeform_token", "tfp_", r"[A-Za-z0-9_.=-]{44,60}", "Typeform docs"),
    _token("contentful_token", "CFPAT-", r"%w{43}", "Contentful docs"),
    _token("mapbox_token", "sk.eyJ", r"%w{60,}\.%w{20,}", "Mapbox docs"),
    _token("adobe_secret", "p8e-", r"[A-Za-z0-9_-]{32}", "Adobe developer console"),
    _token("dropbox_token", "sl.", r"%w{120,}", "Dropbox docs"),
    _token("tailscale_key", "tskey-api- tskey-auth- tskey-client- tskey-scim- tskey-webhook-",
          r"%a{8,}(?:-%a{20,})?", "Tailscale docs"),
    _token("readme_key", "rdme_", r"[a-z0-9]{70}", "ReadMe docs"),
    _token("frameio_token", "fio-u-", r"[A-Za-z0-9_=-]{64}", "Frame.io docs"),
    _token("polar_token", "polar_oat_ polar_pat_", r"%a{30,}", "Polar docs"),
    _token("age_key", "AGE-SECRET-KEY-1", r"[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}", "age specification", 12.0),
    _token("onepassword_key", "A3-",
          r"[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3}", "1Password white paper"),
    _token("elevenlabs_key", "sk_", r"%x{48}", "ElevenLabs docs"),
    _token("airtable_token", "pat", r"%a{14}\.%x{64}", "Airtable personal access tokens"),
    _token("jwt", "eyJ", r"%w{10,}\.eyJ%w{6,}\.%w{20,}", "RFC 7519", 6.0),
)
FREE = (
    _free("azure_client_secret", r"[0-9]Q~[A-Za-z0-9_~.]{8}",
          r"\b[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34}", "Microsoft Entra ID"),
    _free("telegram_token", r"[0-9]{8}:AA", r"\b\d{8,10}:AA%w{33}", "Telegram Bot API", 8.0),
    _free("discord_token", r"\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{20}", r"\b[MNO]%w{22,27}\.%w{6}\.%w{27,40}", "Discord docs"),
    _free("mailchimp_key", r"-us[0-9]", r"\b%x{32}-us\d{1,2}", "Mailchimp docs"),
    _free("mailgun_key", r"key-[0-9a-f]{16}", r"\bkey-%x{32}", "Mailgun docs"),
    _free("twilio_key", r"SK[0-9a-f]{16}", r"\bSK%x{32}", "Twilio docs", 8.0),
    _free("terraform_token", r"\.atlasv1\.", r"\b%a{14}\.atlasv1\.%w{60,}", "HCP Terraform docs"),
    _free("firebase_key", r"AAAA[A-Za-z0-9_-]{7}:", r"\bAAAA%w{7}:%w{134,}", "Firebase Cloud Messaging"),
    _free("twitter_bearer", r"AAAAAAAAAAAAAAAAAAAAA", r"\bA{20,24}%w{6,}(?:%2[BF]|%3D|[A-Za-z0-9%_-]){40,}", "X API docs"),
    _free("salesforce_token", r"00D[A-Za-z0-9]{12}", r"\b00D%a{12,15}![A-Za-z0-9._]{60,}", "Salesforce docs"),
    _free("slack_webhook", r"hooks\.slack\.com/", r"hooks\.slack\.com/(?:services|workflows)/T[A-Z0-9]{6,12}/[A-Za-z0-9/]{20,}",
          "Slack incoming webhooks", 8.0),
    _free("discord_webhook", r"/api/webhooks/", r"discord(?:app)?\.com/api/webhooks/\d{17,20}/%w{60,80}", "Discord docs", 8.0),
    _free("teams_webhook", r"webhook\.office\.com/",
          r"webhook\.office\.com/webhookb2/%u@%u/IncomingWebhook/%x{32}/%u", "Microsoft Teams docs", 8.0),
    _free("azure_storage_key", r"AccountKey=", r"AccountKey=([A-Za-z0-9+/]{86}==)", "Azure Storage connection strings", 10.0),
    _free("azure_shared_key", r"SharedAccessKey=", r"SharedAccessKey=([A-Za-z0-9+/]{40,}={0,2})", "Azure Service Bus, Event Hubs"),
    _free("azure_sas", r"[?&]sig=",
          r"[?&]sig=((?:[A-Za-z0-9+/]|%2[BFbf]){40,}(?:=|%3[Dd]){0,2})", "Azure shared access signatures", 8.0),
    _free("azure_function_key", r"\?code=",
          r"azurewebsites\.net/[^\s\"']{0,80}\?code=([A-Za-z0-9+/=_%-]{40,})", "Azure Functions", 7.0),
    _free("aws_signature", r"X-Amz-Signature=", r"X-Amz-Signature=(%x{64})", "AWS Signature Version 4", 6.0),
    _free("jwk_private", r"\"d\"\s{0,2}:\s{0,2}\"[A-Za-z0-9_-]{16}", r"\"d\"\s*:\s*\"(%w{40,})\"", "RFC 7517", 10.0),
    _free("mnemonic", r"(?i:seed phrase|mnemonic|recovery phrase|phrase de r)",
          r"(?i:seed phrase|mnemonic|recovery phrase|phrase de r.cup.ration)"
          r"[^\n:=]{0,24}[:=]\s{0,3}[\"']?((?:[a-z]{3,8} ){11}(?:[a-z]{3,8} ?){1,13})", "BIP-39"),
)
NAMED = (
    _named("aws_secret_key", r"aws|amazon|s3_|secret_?access_?key", r"[A-Za-z0-9/+]{40}", "AWS IAM"),
    _named("datadog_key", r"datadog|\bdd_|ddog", r"%x{32}|%x{40}", "Datadog docs"),
    _named("twilio_auth_token", r"twilio", r"%x{32}", "Twilio docs"),
    _named("cloudflare_token", r"cloudflare|\bcf_", r"%w{40}|%x{37}", "Cloudflare docs"),
    _named("heroku_key", r"heroku", r"%u", "Heroku platform API"),
    _named("mistral_key", r"mistral", r"%a{32}", "Mistral console"),
    _named("cohere_key", r"cohere|\bco_api", r"%a{40}", "Cohere docs"),
    _named("azure_openai_key", r"azure|cognitive", r"%x{32}|%a{84}", "Azure AI services"),
    _named("okta_token", r"okta", r"00%w{40}", "Okta docs"),
    _named("auth0_secret", r"auth0", r"%w{64}", "Auth0 docs"),
    _named("algolia_key", r"algolia", r"%x{32}", "Algolia docs"),
    _named("pagerduty_key", r"pagerduty|pager_duty|\bpd_", r"[A-Za-z0-9+_-]{20}|%x{32}", "PagerDuty docs"),
    _named("snyk_token", r"snyk", r"%u", "Snyk docs"),
    _named("sumologic_key", r"sumo", r"%a{64}", "Sumo Logic docs"),
    _named("linode_token", r"linode|akamai", r"%x{64}", "Linode API"),
    _named("vultr_key", r"vultr", r"[A-Z0-9]{36}", "Vultr API"),
    _named("scaleway_secret", r"scaleway|\bscw_", r"%u", "Scaleway docs"),
    _named("ovh_secret", r"ovh", r"%a{32}", "OVHcloud API"),
    _named("postmark_token", r"postmark", r"%u", "Postmark docs"),
    _named("mailjet_key", r"mailjet|\bmj_", r"%x{32}", "Mailjet docs"),
    _named("deepgram_key", r"deepgram", r"%x{40}", "Deepgram docs"),
    _named("assemblyai_key", r"assemblyai|aai_", r"%x{32}", "AssemblyAI docs"),
    _named("coinbase_secret", r"coinbase", r"[A-Za-z0-9+/=_-]{32,}", "Coinbase docs"),
    _named("binance_secret", r"binance", r"%a{64}", "Binance API"),
    _named("kraken_secret", r"kraken", r"[A-Za-z0-9+/]{86}==", "Kraken API"),
    _named("twitch_secret", r"twitch", r"[a-z0-9]{30}", "Twitch docs"),
    _named("spotify_secret", r"spotify", r"%x{32}", "Spotify docs"),
    _named("linkedin_secret", r"linkedin", r"[A-Za-z0-9.=_-]{16,}", "LinkedIn docs"),
    _named("zendesk_token", r"zendesk", r"%a{40}", "Zendesk docs"),
    _named("fastly_token", r"fastly", r"%w{32}", "Fastly docs"),
    _named("influxdb_token", r"influx", r"%w{86}==", "InfluxDB docs"),
    _named("azure_devops_token", r"azdo|ado_|azure_?devops|vsts|system_accesstoken",
          r"[a-z2-7]{52}|%a{76,84}", "Azure DevOps docs"),
    _named("dockerhub_password", r"docker", r"%u", "Docker Hub"),
    _named("upstash_token", r"upstash", r"[A-Za-z0-9_=-]{40,}", "Upstash docs"),
)
FORMS = (
    _form("private_key", "RFC 7468, RFC 4880, OpenSSH PROTOCOL.key", 12.0),
    _form("putty_key", "PuTTY manual, appendix C (PPK files)", 12.0),
    _form("connection_string", "RFC 3986 userinfo; JDBC, ODBC and ADO.NET connection strings", 7.0),
    _form("basic_auth_url", "RFC 3986 userinfo", 7.0),
    _form("bearer_header", "RFC 6750", 7.0),
    _form("basic_header", "RFC 7617", 7.0),
    _form("password", "CWE-798, hard-coded credentials", 6.0),
    _form("assigned_key", "CWE-798, hard-coded credentials", 7.0),
)
# fmt: on
RULES = (*FORMS[:2], *TOKENS, *FREE, *NAMED, *FORMS[2:])
