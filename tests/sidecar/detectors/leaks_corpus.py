"""500 secrets in the texts people send, and 500 texts that only look as if they held one; the same every time.

Written from the vendors' documentation and from how texts look, not from shapes.py: what a key looks like stands here a
second time, on purpose. Nothing here is a real secret; everything is drawn from a seeded generator.
"""

# ruff: noqa: E501 - a text of the corpus is one line

import base64
import hashlib
import json
import random
import string
import uuid
from collections.abc import Callable, Iterator

SEED = 20261123
LOWER, UPPER, DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
ALNUM, URLSAFE, HEX = string.ascii_letters + DIGITS, string.ascii_letters + DIGITS + "-_", "0123456789abcdef"
B64 = string.ascii_letters + DIGITS + "+/"


class Draw(random.Random):
    """A generator with the alphabets of tokens."""

    def of(self, alphabet: str, length: int) -> str:
        return "".join(self.choices(alphabet, k=length))

    def uuid(self) -> str:
        return str(uuid.UUID(int=self.getrandbits(128), version=4))


def jwt(draw: Draw, alg: str = "HS256") -> str:
    parts = (
        {"alg": alg, "typ": "JWT"},
        {"sub": draw.of(DIGITS, 7), "exp": draw.randrange(10**9, 2 * 10**9), "role": "admin"},
    )
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, draw.of(URLSAFE, 43)])


def pem(draw: Draw, kind: str) -> str:
    lines = "\n".join(draw.of(B64, 64) for _ in range(draw.randint(4, 25)))
    return f"-----BEGIN {kind}-----\n{lines}\n{draw.of(B64, 22)}==\n-----END {kind}-----"


def chosen(draw: Draw) -> str:
    """A password as people choose them."""
    word = draw.choice(
        ["Sommer", "Paris", "dragon", "Tiger", "kitty", "Blau", "Monkey", "Ferrari", "luna", "Zebra", "Quartz", "mango"]
    )
    return draw.choice(
        [
            f"{word}{draw.randint(10, 2030)}!",
            f"{word}_{draw.of(DIGITS, 3)}{draw.of(LOWER, 2)}",
            f"{draw.of(LOWER, 3)}{draw.of(DIGITS, 2)}{draw.of(UPPER, 2)}{draw.choice('!?$%&*+')}{draw.of(LOWER, 3)}",
            draw.of(ALNUM, draw.randint(10, 24)) + draw.choice(DIGITS),
            f"{word}#{draw.of(DIGITS, 4)}",
        ]
    )


# name of a variable, and the value.
TOKENS: tuple[tuple[str, Callable[[Draw], str]], ...] = (
    ("GITHUB_TOKEN", lambda d: "gh" + d.choice("pousr") + "_" + d.of(ALNUM, 36)),
    ("GH_PAT", lambda d: "github" + "_pat_" + d.of(ALNUM, 22) + "_" + d.of(ALNUM, 59)),
    ("GITLAB_TOKEN", lambda d: "glp" + "at-" + d.of(URLSAFE, 19) + d.choice(ALNUM)),
    ("CI_DEPLOY", lambda d: "gld" + "t-" + d.of(ALNUM, 20)),
    ("AWS_ACCESS_KEY_ID", lambda d: d.choice(["AK", "AS"]) + "IA" + d.of(UPPER + "234567", 16)),
    ("AWS_SECRET_ACCESS_KEY", lambda d: d.of(B64, 39) + d.choice(ALNUM)),
    ("GOOGLE_MAPS", lambda d: "AI" + "za" + d.of(URLSAFE, 34) + d.choice(ALNUM)),
    ("OAUTH", lambda d: "ya2" + "9." + d.of(URLSAFE, 120)),
    ("GOOGLE_CLIENT_SECRET", lambda d: "GOC" + "SPX-" + d.of(URLSAFE, 27) + d.choice(ALNUM)),
    ("OPENAI_API_KEY", lambda d: "sk-" + d.of(ALNUM, 20) + "T3Blbk" + "FJ" + d.of(ALNUM, 20)),
    ("OPENAI_API_KEY", lambda d: "sk-pro" + "j-" + d.of(URLSAFE, 123) + d.choice(ALNUM)),
    ("ANTHROPIC_API_KEY", lambda d: "sk-an" + "t-api03-" + d.of(URLSAFE, 93) + "AA"),
    ("OPENROUTER", lambda d: "sk-o" + "r-v1-" + d.of(HEX, 64)),
    ("DEEPSEEK_API_KEY", lambda d: "s" + "k-" + d.of(HEX, 32)),
    ("GROQ_API_KEY", lambda d: "gs" + "k_" + d.of(ALNUM, 52)),
    ("HF_TOKEN", lambda d: "h" + "f_" + d.of(string.ascii_letters, 34)),
    ("REPLICATE", lambda d: "r" + "8_" + d.of(ALNUM, 37)),
    ("XAI", lambda d: "xa" + "i-" + d.of(ALNUM, 80)),
    ("PPLX", lambda d: "ppl" + "x-" + d.of(ALNUM, 48)),
    ("NVIDIA", lambda d: "nva" + "pi-" + d.of(URLSAFE, 63) + d.choice(ALNUM)),
    ("LANGCHAIN_API_KEY", lambda d: "lsv2" + "_pt_" + d.of(HEX, 32) + "_" + d.of(HEX, 10)),
    ("MISTRAL_API_KEY", lambda d: d.of(ALNUM, 32)),
    ("SLACK_BOT", lambda d: "xo" + "xb-" + d.of(DIGITS, 12) + "-" + d.of(DIGITS, 13) + "-" + d.of(ALNUM, 24)),
    (
        "SLACK_HOOK",
        lambda d: (
            "https://hooks.sla" + "ck.com/services/T" + d.of(UPPER, 8) + "/B" + d.of(UPPER, 10) + "/" + d.of(ALNUM, 24)
        ),
    ),
    ("STRIPE_KEY", lambda d: "s" + "k_live_" + d.of(ALNUM, d.choice([24, 99]))),
    ("STRIPE_WEBHOOK", lambda d: "whs" + "ec_" + d.of(ALNUM, 32)),
    ("SENDGRID", lambda d: "S" + "G." + d.of(ALNUM, 22) + "." + d.of(URLSAFE, 42) + d.choice(ALNUM)),
    ("MAILGUN", lambda d: "ke" + "y-" + d.of(HEX, 32)),
    ("MAILCHIMP", lambda d: d.of(HEX, 32) + "-us" + str(d.randint(1, 21))),
    ("TWILIO_AUTH_TOKEN", lambda d: d.of(HEX, 32)),
    ("TWILIO_API_KEY", lambda d: "S" + "K" + d.of(HEX, 32)),
    ("TELEGRAM", lambda d: d.of("123456789", 10) + ":AA" + d.of(URLSAFE, 32) + d.choice(ALNUM)),
    ("DISCORD", lambda d: "M" + d.of(ALNUM, 25) + "." + d.of(ALNUM, 6) + "." + d.of(URLSAFE, 37) + d.choice(ALNUM)),
    ("NPM_TOKEN", lambda d: "np" + "m_" + d.of(ALNUM, 36)),
    ("PYPI", lambda d: "pyp" + "i-AgEIcHlwaS5vcmc" + d.of(URLSAFE, 150)),
    ("RUBYGEMS", lambda d: "ruby" + "gems_" + d.of(HEX, 48)),
    ("DOCKER", lambda d: "dckr" + "_pat_" + d.of(ALNUM, 27)),
    ("DIGITALOCEAN", lambda d: "dop" + "_v1_" + d.of(HEX, 64)),
    ("DATABRICKS", lambda d: "da" + "pi" + d.of(HEX, 32)),
    ("DATADOG_API_KEY", lambda d: d.of(HEX, 32)),
    ("NEW_RELIC", lambda d: "NR" + "AK-" + d.of(UPPER + DIGITS, 27)),
    ("SENTRY", lambda d: "sntr" + "yu_" + d.of(HEX, 64)),
    ("GRAFANA", lambda d: "gl" + "sa_" + d.of(ALNUM, 32) + "_" + d.of(HEX, 8)),
    ("SHOPIFY", lambda d: "shp" + "at_" + d.of(HEX, 32)),
    ("SQUARE", lambda d: "sq0" + "csp-" + d.of(URLSAFE, 42) + d.choice(ALNUM)),
    ("LINEAR", lambda d: "lin_" + "api_" + d.of(ALNUM, 40)),
    ("NOTION", lambda d: "nt" + "n_" + d.of(ALNUM, 46)),
    ("FIGMA", lambda d: "fig" + "d_" + d.of(URLSAFE, 39) + d.choice(ALNUM)),
    ("ATLASSIAN", lambda d: "ATA" + "TT3xFfGF0" + d.of(URLSAFE, 170) + "=" + d.of(HEX.upper(), 8)),
    ("VAULT_TOKEN", lambda d: "hv" + "s." + d.of(ALNUM, 24)),
    ("TF_TOKEN", lambda d: d.of(ALNUM, 14) + ".atlas" + "v1." + d.of(URLSAFE, 66) + d.choice(ALNUM)),
    ("POSTMAN", lambda d: "PM" + "AK-" + d.of(HEX, 24) + "-" + d.of(HEX, 34)),
    ("AIRTABLE", lambda d: "pa" + "t" + d.of(ALNUM, 14) + "." + d.of(HEX, 64)),
    ("HUBSPOT", lambda d: "pat-" + "eu1-" + d.uuid()),
    ("TAILSCALE", lambda d: "tskey-" + "auth-" + d.of(ALNUM, 17) + "-" + d.of(ALNUM, 32)),
    ("HEROKU_API_KEY", lambda d: d.uuid()),
    ("AZURE_CLIENT_SECRET", lambda d: d.of(ALNUM, 3) + "8" + "Q~" + d.of(ALNUM, 34)),
    ("SESSION", jwt),
    ("SUPABASE_SERVICE_KEY", lambda d: jwt(d, "RS256")),
)
# A person says or writes what it is; only words and the value tell.
ASSIGNED: tuple[tuple[str, Callable[[Draw], str]], ...] = (
    ("DB_PASSWORD", chosen),
    ("MYSQL_ROOT_PASSWORD", chosen),
    ("smtp_password", chosen),
    ("admin_pwd", chosen),
    ("SECRET_KEY", lambda d: d.of(ALNUM, 50)),
    ("api_key", lambda d: d.of(ALNUM, 32)),
    ("client_secret", lambda d: d.of(URLSAFE, 39) + d.choice(ALNUM)),
    ("ENCRYPTION_KEY", lambda d: d.of(HEX, 64)),
    ("auth_token", lambda d: d.of(ALNUM, 40)),
    ("JWT_SECRET", lambda d: d.of(B64, 43) + "="),
    ("access_token", lambda d: d.of(ALNUM, 64)),
)
CARRIERS: tuple[str, ...] = (
    "{name}={value}",
    "# staging\nDEBUG=1\n{name}={value}\nPORT=8080",
    "export {name}='{value}'",
    '{{"{name}": "{value}", "region": "eu-west-3"}}',
    "config:\n  retries: 3\n  {name}: {value}\n",
    'config:\n  {name}: "{value}"\n',
    '{name} = "{value}"\nclient = Client({name}, timeout=5)',
    'const {name} = "{value}";',
    'variable "x" {{}}\nprovider "p" {{\n  {name} = "{value}"\n}}',
    "env:\n  - name: {name}\n    value: {value}\n",
    'env:\n  - name: {name}\n    value: "{value}"\n',
    "2026-03-04T10:11:12Z ERROR upstream said 401 for {name}={value} (attempt 3)",
    "Why does this fail?\n```bash\nexport {name}={value}\n./run.sh\n```\nIt says 403.",
    "| key | value |\n|---|---|\n| {name} | {value} |",
    "docker run -e {name}={value} -p 80:80 app:latest",
    "[default]\n{name} = {value}\n",
    "Please add {name}: {value} to the vault, thanks!",
    'System.setProperty("{name}", "{value}"); {name}: \'{value}\'',
)
# Where a token with a form of its own stands without any name.
BARE: tuple[str, ...] = (
    "hey can you check if {value} still works? I get an error",
    "Voici la clé : {value} merci de ne pas la partager",
    "curl -H 'Authorization: Bearer {value}' https://api.internal.corp/v2/items",
    "I accidentally committed {value} yesterday, what now?",
    "git log -p\n-old\n+{value}\n",
    "connect('{value}')",
    "- [ ] rotate {value}\n- [x] update docs",
    '<add key="k" value="{value}"/>',
)
SENTENCES: tuple[str, ...] = (
    "my password is {value}, is that strong enough?",
    "le mot de passe est {value}",
    "Mot de passe : {value}",
    "Das Passwort lautet {value} und läuft morgen ab",
    "Passwort: {value}",
    "la contraseña es {value}",
    "login: root / password: {value}",
    "user=admin password={value}",
    "<password>{value}</password>",
    "mysqldump -u root --password={value} shop",
)


def _whole(draw: Draw) -> str:
    """A secret that is its own carrier."""
    return draw.choice(
        [
            lambda: f"DATABASE_URL=postgres://app:{draw.of(ALNUM, 16)}7@db.internal:5432/shop",
            lambda: f"mongodb+srv://svc:{draw.of(ALNUM, 14)}2@cluster0.ab1cd.mongodb.net/test",
            lambda: f"redis://:{draw.of(ALNUM, 20)}4@cache.internal:6379/0",
            lambda: f"amqps://queue:{draw.of(ALNUM, 18)}9@mq.corp:5671/vhost",
            lambda: f"git clone https://ci-bot:{draw.of(ALNUM, 20)}3@git.corp.net/team/app.git",
            lambda: f"Server=sql1;Database=hr;User Id=sa;Password={draw.of(ALNUM, 9)}#4x;Encrypt=true;",
            lambda: f"jdbc:mysql://db:3306/shop?user=app&password={draw.of(ALNUM, 12)}8&useSSL=true",
            lambda: (
                "DefaultEndpointsProtocol=https;AccountName=logs;AccountKey="
                + draw.of(B64, 86)
                + "==;EndpointSuffix=core.windows.net"
            ),
            lambda: (
                "Endpoint=sb://q.servicebus.windows.net/;SharedAccessKeyName=root;SharedAccessKey="
                + draw.of(B64, 43)
                + "="
            ),
            lambda: (
                "curl -H 'Authorization: Basic "
                + base64.b64encode(f"svc{draw.randint(1, 99)}:{draw.of(ALNUM, 12)}".encode()).decode()
                + "' https://jira.corp/rest"
            ),
            lambda: pem(
                draw,
                draw.choice(["RSA PRIVATE", "PRIVATE", "EC PRIVATE", "OPENSSH PRIVATE", "ENCRYPTED PRIVATE"]) + " KEY",
            ),
            lambda: json.dumps({"type": "service_account", "private_key": pem(draw, "PRIVATE" + " KEY")}),
            lambda: (
                "here is the key\n"
                + pem(draw, "PGP PRIVATE" + " KEY BLOCK").replace("BLOCK-----\n", "BLOCK-----\n\n", 1)
            ),
            lambda: f"curl https://api.corp/v1/me -H 'X-Api-Key: {draw.of(ALNUM, 40)}'",
            lambda: f"headers = {{'Authorization': 'Bearer {draw.of(URLSAFE, 47)}9'}}",
            lambda: (
                "apiVersion: v1\nkind: Secret\ndata:\n  password: "
                + base64.b64encode(f"{chosen(draw)}{draw.of(DIGITS, 3)}".encode()).decode()
            ),
        ]
    )()


def secrets(count: int = 500) -> Iterator[str]:
    """Yield texts that hold a secret each."""
    draw = Draw(SEED)
    for number in range(count):
        if number % 5 == 0:
            yield _whole(draw)
        elif number % 5 == 1:
            name, make = draw.choice(ASSIGNED)
            value = make(draw)
            if make is chosen and draw.random() < 0.5:
                yield draw.choice(SENTENCES).format(value=value)
            else:
                yield draw.choice(CARRIERS).format(name=name, value=value)
        else:
            name, make = TOKENS[number % len(TOKENS)]
            value = make(draw)
            named = name.endswith(("_KEY", "_TOKEN", "_SECRET")) or draw.random() < 0.5
            yield draw.choice(CARRIERS if named else BARE).format(name=name, value=value)


PLACEHOLDERS = (
    "your-api-key", "YOUR_API_KEY_HERE", "<your-token>", "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxx", "sk-...", "${API_KEY}", "{{ api_key }}",
    "$(cat /run/secrets/key)", "process.env.API_KEY", 'os.environ["API_KEY"]', "os.getenv('TOKEN')", "changeme", "********",
    "REPLACE_ME_WITH_KEY", "ghp_" + "x" * 36, "AKIA" + "IOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY", "xoxb-your-token-here",
    "abcdefghijklmnopqrstuvwxyz123456", "0123456789abcdef0123456789abcdef", "insert-token-here", "%API_KEY%", "@Value", "null", "undefined",
    "test_secret_key", "dummy-secret-value-1", "secrets.GITHUB_TOKEN", "vault:secret/data/app#key", "!vault", "settings.SECRET_KEY",
    "aws_secretsmanager_secret.db.arn", "var.db_password", "data.vault.token", "sk_test_placeholder_key", "eyJhbGciOi...", "getpass.getpass()",
    "config['password']", "request.form.get('password')", "None", "True", "string", "hash_password(raw)", "generate_token(32)",
)  # fmt: skip


def _look_alike(draw: Draw, kind: int) -> str:
    words = ["orders", "invoice", "render", "payment", "session", "worker", "widget", "parser", "matrix", "engine"]
    w = lambda: draw.choice(words)  # noqa: E731 - a word, many times
    digest = lambda name: hashlib.new(name, draw.randbytes(20)).hexdigest()  # noqa: E731
    b64 = lambda n: base64.b64encode(draw.randbytes(n)).decode()  # noqa: E731
    makes: tuple[Callable[[], str], ...] = (
        lambda: f"commit {digest('sha1')}\nAuthor: Kim <kim@corp.io>\n    fix {w()}",
        lambda: f"merged in {digest('sha1')[:10]}, reverts {digest('sha1')}",
        lambda: f"md5({w()}.tar.gz) = {digest('md5')}",
        lambda: f"{digest('sha256')}  {w()}-1.2.{draw.randint(0, 9)}.whl",
        lambda: f'"integrity": "sha512-{b64(64)}"',
        lambda: f"    --hash=sha256:{digest('sha256')} \\",
        lambda: f'<script src="/{w()}.js" integrity="sha384-{b64(48)}" crossorigin="anonymous"></script>',
        lambda: f"docker pull registry.corp/{w()}@sha256:{digest('sha256')}",
        lambda: f"request_id={draw.uuid()} trace={draw.of(HEX, 32)} span={draw.of(HEX, 16)} took 12ms",
        lambda: f'{{"id": "{draw.uuid()}", "object": "{w()}", "created": {draw.randrange(10**9)}}}',
        lambda: f"![{w()}](data:image/png;base64,iVBORw0KGgo{b64(240)})",
        lambda: f"ssh-rsa AAAAB3NzaC1yc2E{b64(270)} me@laptop",
        lambda: f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{b64(32)[:43]} kim",
        lambda: pem(draw, draw.choice(["PUBLIC KEY", "CERTIFICATE", "CERTIFICATE REQUEST", "RSA PUBLIC KEY"])),
        lambda: f"etag: W/\"{digest('md5')}\"\ncache-key: {w()}-{draw.of(HEX, 12)}",
        lambda: f"next_page_token: {draw.of(URLSAFE, 60)}",
        lambda: f'{{"nextToken": "{b64(60)}", "items": []}}',
        lambda: f"primary_key = {w()}_id\nforeign_key: {w()}.{w()}_id\nsort_key={w()}#2024",
        lambda: f"product {draw.of(UPPER, 3)}-{draw.of(DIGITS, 6)}-{draw.of(UPPER, 2)}, serial {draw.of(UPPER + DIGITS, 17)}",
        lambda: f"The {w()} uses tokens; max_tokens=4096, eos_token_id: 50256, tokenizer = load('{w()}-7b-v0.{draw.randint(1, 9)}')",
        lambda: f"!function(e,t){{var n=e.{draw.of(LOWER, 3)}[{draw.randint(1, 99)}],r=t(n.a{draw.of(ALNUM, 6)});return r.password=n.b,r}}(x,y);",
        lambda: f"password_hash = '$2b$12${draw.of(ALNUM + './', 53)}'",
        lambda: f"0x{draw.of(HEX, 40)} sent 1.2 ETH in tx 0x{draw.of(HEX, 64)}",
        lambda: f"session cookie name is {w()}_session_v{draw.randint(1, 9)}; the password must have at least {draw.randint(8, 16)} characters",
        lambda: f"def test_{w()}_rejects_wrong_password(client, token_factory): assert login(password=wrong_password) is None  # {draw.randint(1, 999)}",
        lambda: f"type {w().title()} = {{ password: string; token?: string | null; apiKey: ApiKey{draw.randint(1, 9)} }}",
        lambda: f"https://www.youtube.com/watch?v={draw.of(ALNUM, 11)} and https://docs.google.com/document/d/{draw.of(ALNUM, 44)}/edit",
        lambda: f"publishable key pk_live_{draw.of(ALNUM, 24)} goes to the browser",
        lambda: f"public DSN https://{draw.of(HEX, 32)}@o{draw.of(DIGITS, 6)}.ingest.sentry.io/{draw.of(DIGITS, 7)}",
        lambda: f"error: secret \"{w()}-{w()}-tls\" not found in namespace {w()}-{draw.of(LOWER + DIGITS, 5)}",
        lambda: f"pod/{w()}-{draw.of(HEX, 10)}-{draw.of(LOWER + DIGITS, 5)} 1/1 Running; image tag {digest('sha1')[:12]}",
        lambda: f"postgres://user:password@localhost:5432/{w()}{draw.randint(1, 99)}",
        lambda: f"mysql://{{user}}:{{password}}@{{host}}/{w()}{draw.randint(1, 99)} and https://example.com/{w()}",
        lambda: f"eyJhb is how a token begins. {base64.b64encode(json.dumps({w(): draw.of(LOWER, 30)}).encode()).decode()}",
        lambda: f"Basic authentication sends base64; bearer tokens expire after {draw.randint(5, 60)} minutes for {w()}.",
        lambda: f"Lancer {w()} : le mot de passe oublié se change dans les réglages, article {draw.randint(100, 999)}",
        lambda: f"aws s3 cp s3://{w()}-{draw.of(DIGITS, 12)}/{draw.of(HEX, 32)}/part-00001 . # arn:aws:iam::{draw.of(DIGITS, 12)}:role/{w()}",
        lambda: f"keyboard shortcut key: ctrl+{draw.choice(LOWER)}; key={w()}_{draw.randint(1, 99)}; foreign key {w()}",
        lambda: f"license: MIT, spdx id {draw.of(UPPER, 4)}-2.0, isbn 978-3-{draw.of(DIGITS, 2)}-{draw.of(DIGITS, 6)}-{draw.randint(0, 9)}",
    )  # fmt: skip
    return makes[kind % len(makes)]()


def look_alikes(count: int = 500) -> Iterator[str]:
    """Yield texts that hold none."""
    draw = Draw(SEED + 1)
    names = [name for name, _ in (*TOKENS, *ASSIGNED)]
    for number in range(count):
        if number % 3 == 0:
            text = draw.choice(CARRIERS).format(name=draw.choice(names), value=draw.choice(PLACEHOLDERS))
            yield text
        else:
            yield _look_alike(draw, number)
