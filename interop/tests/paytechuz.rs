//! A client that we did not write, PyPI's `paytechuz`: its pay link is one that the stand-in CLICK takes and that pays
//! our payment; the fields that its webhook handler asks for are those that our callbacks take; and a message that
//! the one believes the other believes too.

#[expect(dead_code, unused_imports, reason = "each test uses its part of the shared load")]
mod load;
#[expect(dead_code, reason = "each test uses its part of the shared shop")]
mod shop;
mod venv;

#[path = "paytechuz/python.rs"]
mod python;

use load::Outcome;
use python::{Heard, Python, Question};
use sessile_sandbox::click::Message;
use shop::{PATIENT, Shop, Till, Wanted};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use url::Url;

/// In so'm.
const PRICE: i64 = 50_000;
/// What CLICK documents beside, which the package does not look at.
const NOT_ASKED_FOR: [&str; 2] = ["click_paydoc_id", "error_note"];
const NOT_SIGNED_BY_CLICK: i64 = -1;
const SUCCESS: i64 = 0;

type Fields = BTreeMap<String, String>;

struct World {
    shop: Shop,
    python: Arc<Python>,
}

impl World {
    async fn begin() -> Outcome<Self> {
        let (shop, python) =
            tokio::try_join!(Shop::open("paytechuz", None, PATIENT), Python::with_packages())?;
        Ok(Self { shop, python })
    }

    fn till(&self) -> &Till {
        &self.shop.till
    }

    /// A payment, as our backend makes it.
    async fn payment(&self, number: u32) -> Outcome<(String, Url)> {
        let wanted = Wanted {
            user: format!("00000000-0000-4000-8000-{number:012}"),
            amount: PRICE,
            coupon: None,
            key: format!("paytechuz-{number}"),
        };
        let made = self.till().create(&wanted, &AtomicU64::new(0)).await?;
        Ok((made.order, made.link))
    }

    /// What the package says about an order.
    async fn ask(&self, order: &str, messages: &[Fields]) -> Outcome<python::Answer> {
        let click = &self.till().click;
        let question = Question {
            service_id: &click.service_id,
            merchant_id: &click.merchant_id,
            secret_key: &click.secret_key,
            order,
            amount: PRICE,
            return_url: &format!("{}/api/click/return", self.till().home),
            messages,
        };
        self.python.ask(&question).await
    }

    /// What our server answers to a message.
    async fn send(&self, step: &str, fields: &Fields) -> Outcome<serde_json::Value> {
        let url = format!("{}/api/click/{step}", self.till().home);
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let form = "application/x-www-form-urlencoded";
        let request = self.till().http.post(url).header("content-type", form).body(body);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    fn signed(&self, message: &Message) -> Fields {
        message.signed(&self.till().click.secret_key).into_iter().collect()
    }
}

fn parameters(link: &Url) -> Fields {
    link.query_pairs().into_owned().collect()
}

/// Only what the package asks for, and what CLICK documents beside.
fn only(fields: &Fields, asked: &[String]) -> Fields {
    let wanted: BTreeSet<&str> = asked.iter().map(String::as_str).chain(NOT_ASKED_FOR).collect();
    fields.iter().filter(|(name, _)| wanted.contains(name.as_str())).map(owned).collect()
}

fn owned((name, value): (&String, &String)) -> (String, String) {
    (name.clone(), value.clone())
}

fn names(answer: &serde_json::Value) -> BTreeSet<String> {
    answer.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_pay_link_pays() -> Outcome {
    let world = World::begin().await?;
    let (order, ours) = world.payment(1).await?;
    let answer = world.ask(&order, &[]).await?;
    let theirs = Url::parse(&answer.link)?;
    let (theirs, ours) = (parameters(&theirs), parameters(&ours));
    println!("paytechuz {}: {}", answer.version, answer.link);
    let known: BTreeSet<&String> = ours.keys().collect();
    assert_eq!(theirs.keys().collect::<BTreeSet<_>>(), known, "one link has other fields");
    for name in ["service_id", "merchant_id", "transaction_param"] {
        assert_eq!(theirs[name], ours[name], "{name}");
    }
    assert_eq!((theirs["amount"].as_str(), ours["amount"].as_str()), ("50000", "50000.00"));

    // What a buyer's browser does with it, at the stand-in's address in place of CLICK's.
    let page =
        format!("{}?{}", world.till().sandbox.click_pay_url(), answer.link.split_once('?').ok_or("?")?.1);
    let shown = world.till().http.get(&page).send().await?;
    assert_eq!(shown.status(), 200, "{}", shown.text().await?);
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    let body = form.extend_pairs(&theirs).append_pair("decision", "pay").finish();
    let request = world.till().http.post(world.till().sandbox.click_pay_url());
    let form = "application/x-www-form-urlencoded";
    let paid = request.header("content-type", form).body(body).send().await?;
    let back = paid.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or_default().to_owned();
    assert!(paid.status().is_redirection(), "{}: {}", paid.status(), paid.text().await?);
    assert!(back.starts_with(&format!("{}/api/click/return", world.till().home)), "{back}");
    assert_eq!(world.till().status(&order).await?, "completed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn its_fields_are_the_ones_we_take() -> Outcome {
    let world = World::begin().await?;
    let (order, _) = world.payment(2).await?;
    let click = world.till().click();
    let prepare = click.prepare_message(&order, &format!("{PRICE}.00"));
    let complete = |prepare_id: &str| click.complete_message(&prepare, prepare_id);

    // What it asks for, in messages that both of them may believe.
    let drafts = [&prepare, &complete("1000000001")].map(|message| world.signed(message));
    let learnt = world.ask(&order, &drafts).await?;
    let asked = |at: usize| learnt.heard[at].asked.clone();
    for (at, draft) in drafts.iter().enumerate() {
        let missing: Vec<String> = asked(at).into_iter().filter(|name| !draft.contains_key(name)).collect();
        // It looks for our number in a Prepare too, where there is none yet.
        let fine =
            missing.iter().all(|name| name == "merchant_prepare_id") && (at == 0 || missing.is_empty());
        assert!(fine, "it asks for {missing:?}, which CLICK does not send");
    }

    let first = only(&drafts[0], &asked(0));
    let ours = world.send("prepare", &first).await?;
    assert_eq!(ours["error"], SUCCESS, "{ours}");
    let number = ours["merchant_prepare_id"].to_string();
    let second = only(&world.signed(&complete(&number)), &asked(1));
    let forged = |fields: &Fields| {
        let mut fields = fields.clone();
        fields.insert("sign_string".to_owned(), "0".repeat(32));
        fields
    };
    let messages = [forged(&first), first.clone(), forged(&second), second.clone()];
    let theirs = world.ask(&order, &messages).await?.heard;
    let told: Vec<i64> = theirs.iter().map(Heard::error).collect();
    assert_eq!(told, [NOT_SIGNED_BY_CLICK, SUCCESS, NOT_SIGNED_BY_CLICK, SUCCESS], "{theirs:?}");
    for (step, fields) in [("prepare", &first), ("complete", &second)] {
        let refused = world.send(step, &forged(fields)).await?;
        assert_eq!(refused["error"], NOT_SIGNED_BY_CLICK, "{refused}");
    }
    let done = world.send("complete", &second).await?;
    assert_eq!(done["error"], SUCCESS, "{done}");
    assert_eq!(world.till().status(&order).await?, "completed");

    // Both answer a Prepare alike; a Complete is answered with a number of another name, as CLICK documents it.
    assert_eq!(names(&theirs[1].answer), names(&ours));
    let mut documented = names(&theirs[3].answer);
    assert!(documented.remove("merchant_prepare_id") && documented.insert("merchant_confirm_id".to_owned()));
    assert_eq!(documented, names(&done));
    println!("paytechuz {}: asks for {:?}; both answer {told:?}", learnt.version, asked(1));
    Ok(())
}
