//! Forms as in the examples of XEP-0004, XEP-0068, XEP-0128 and XEP-0313.

use proptest::prelude::*;

use super::*;
use crate::xml::Element;

const LIMITS: FormLimits = FormLimits { fields_max: 10, values_max: 20, bytes_max: 1000 };

fn element(xml: &str) -> Element {
    Element::parse(xml.as_bytes()).unwrap()
}

fn written(form: &Form) -> String {
    let mut out = Vec::new();
    form.to_element().write_to(&mut out, ns::CLIENT);
    String::from_utf8(out).unwrap()
}

/// The form of XEP-0004, Example 2, in part.
fn bot() -> Form {
    Form::new(FormKind::Form)
        .with_type("jabber:bot")
        .with_words("Bot Configuration", "Fill out this form to configure your new bot!")
        .with_field(Field::words("Section 1: Bot Info"))
        .with_field(Field::new(FieldKind::TextSingle, "botname").with_label("The name of your bot"))
        .with_field(Field::new(FieldKind::TextMulti, "description"))
        .with_field(Field::new(FieldKind::Boolean, "public").with_label("Public bot?").required())
        .with_field(Field::new(FieldKind::TextPrivate, "password"))
        .with_field(
            Field::new(FieldKind::ListMulti, "features")
                .with_value("news")
                .with_value("search")
                .with_choice("Contests", "contests")
                .with_choice("News", "news")
                .with_choice("Search", "search"),
        )
        .with_field(Field::new(FieldKind::ListSingle, "maxsubs").with_value("20").with_choice("20", "20"))
        .with_field(Field::new(FieldKind::JidMulti, "invitelist"))
}

/// XEP-0004, Example 3.
const SUBMITTED: &str = "<x xmlns='jabber:x:data' type='submit'>
      <field type='hidden' var='FORM_TYPE'><value>jabber:bot</value></field>
      <field type='text-single' var='botname'><value>The Jabber Google Bot</value></field>
      <field type='text-multi' var='description'>
        <value>This bot enables you to send requests to</value>
        <value>Google and receive the search results right</value>
      </field>
      <field type='boolean' var='public'><value>0</value></field>
      <field type='text-private' var='password'><value>v3r0na</value></field>
      <field type='list-multi' var='features'><value>news</value><value>search</value></field>
      <field type='list-single' var='maxsubs'><value>20</value></field>
      <field type='jid-multi' var='invitelist'>
        <value>juliet@capulet.com</value><value>benvolio@montague.net</value><value>Juliet@Capulet.COM</value>
      </field>
    </x>";

#[test]
fn a_form_asks() {
    assert_eq!(
        written(&bot()),
        "<x xmlns='jabber:x:data' type='form'><title>Bot Configuration</title>\
         <instructions>Fill out this form to configure your new bot!</instructions>\
         <field var='FORM_TYPE' type='hidden'><value>jabber:bot</value></field>\
         <field type='fixed'><value>Section 1: Bot Info</value></field>\
         <field var='botname' type='text-single' label='The name of your bot'/>\
         <field var='description' type='text-multi'/>\
         <field var='public' type='boolean' label='Public bot?'><required/></field>\
         <field var='password' type='text-private'/>\
         <field var='features' type='list-multi'><value>news</value><value>search</value>\
         <option label='Contests'><value>contests</value></option>\
         <option label='News'><value>news</value></option><option label='Search'><value>search</value></option></field>\
         <field var='maxsubs' type='list-single'><value>20</value><option label='20'><value>20</value></option></field>\
         <field var='invitelist' type='jid-multi'/></x>"
    );
}

#[test]
fn a_form_comes_back_but_for_the_words() {
    let mut expected = bot();
    expected.fields.retain(|field| field.kind != Some(FieldKind::Fixed));
    assert_eq!(Form::parse(&element(&written(&bot())), &LIMITS), Ok(expected));
}

#[test]
fn a_submission_answers() {
    let form = Form::parse_submission(&element(SUBMITTED), &LIMITS).unwrap();
    assert_eq!(bot().check(&form, Unknown::Refuse), Ok(()));
    assert_eq!(form.form_type(), Some("jabber:bot"));
    assert_eq!(form.value("botname"), Some("The Jabber Google Bot"));
    let lines = "This bot enables you to send requests to\nGoogle and receive the search results right";
    assert_eq!(form.text("description").as_deref(), Some(lines));
    assert_eq!(form.boolean("public"), Some(false));
    assert_eq!(form.values("features"), ["news", "search"]);
    // XEP-0004 §3.3: duplicates are ignored.
    let jids: Vec<_> = form.jids("invitelist").iter().map(|jid| jid.as_str().to_owned()).collect();
    assert_eq!(jids, ["juliet@capulet.com", "benvolio@montague.net"]);
    assert_eq!((form.value("nothing"), form.text("nothing"), form.boolean("botname")), (None, None, None));
}

#[test]
fn a_table_has_columns_and_rows() {
    // XEP-0004, Example 8.
    let form = Form::new(FormKind::Result)
        .with_column(FieldKind::TextSingle, "name", "Name")
        .with_column(FieldKind::TextSingle, "url", "Address")
        .with_row(vec!["Comune di Verona".into(), "http://www.comune.verona.it/".into()])
        .with_row(vec!["benvenuto!".into()]);
    assert_eq!(
        written(&form),
        "<x xmlns='jabber:x:data' type='result'>\
         <reported><field var='name' type='text-single' label='Name'/>\
         <field var='url' type='text-single' label='Address'/></reported>\
         <item><field var='name'><value>Comune di Verona</value></field>\
         <field var='url'><value>http://www.comune.verona.it/</value></field></item>\
         <item><field var='name'><value>benvenuto!</value></field><field var='url'><value/></field></item></x>"
    );
}

#[test]
fn service_discovery_is_extended() {
    // XEP-0128, Example 1, in part.
    let form = Form::new(FormKind::Result)
        .with_type("http://jabber.org/network/serverinfo")
        .with_field(Field::shown("c2s_port", "5222"))
        .with_field(Field::shown("ip_version", "ipv4").with_value("ipv6"));
    assert_eq!(
        written(&form),
        "<x xmlns='jabber:x:data' type='result'>\
         <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/network/serverinfo</value></field>\
         <field var='c2s_port'><value>5222</value></field>\
         <field var='ip_version'><value>ipv4</value><value>ipv6</value></field></x>"
    );
}

#[test]
fn an_open_list_says_so() {
    // XEP-0313, Example 11.
    let form = Form::new(FormKind::Form).with_field(Field::new(FieldKind::ListMulti, "ids").open());
    let xml = written(&form);
    assert!(xml.contains(
        "<field var='ids' type='list-multi'>\
         <validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:string'><open/></validate></field>"
    ));
    assert_eq!(Form::parse(&element(&xml), &LIMITS), Ok(form));
}

#[test]
fn what_a_form_is_for() {
    let kind = |form: &str, field: &str| {
        let xml = format!("<x xmlns='jabber:x:data' type='{form}'><field {field}><value>a:b</value></field></x>");
        Form::parse(&element(&xml), &LIMITS).unwrap().form_type().map(str::to_owned)
    };
    let counts = Some("a:b".to_owned());
    assert_eq!(kind("form", "var='FORM_TYPE' type='hidden'"), counts);
    assert_eq!(kind("result", "var='FORM_TYPE' type='hidden'"), counts);
    // XEP-0068 §4.3: not hidden, therefore not meant.
    assert_eq!(kind("form", "var='FORM_TYPE' type='text-single'"), None);
    assert_eq!(kind("result", "var='FORM_TYPE'"), None);
    // XEP-0068 §5: implied in a submission.
    assert_eq!(kind("submit", "var='FORM_TYPE'"), counts);
    assert_eq!(kind("submit", "var='OTHER_TYPE'"), None);
}

#[test]
fn what_is_no_form_is_refused() {
    let refused = |xml: &str| Form::parse_submission(&element(xml), &LIMITS).unwrap_err();
    for xml in [
        "<x xmlns='jabber:x:oob' type='submit'/>",
        "<y xmlns='jabber:x:data' type='submit'/>",
        "<x xmlns='jabber:x:data'/>",
        "<x xmlns='jabber:x:data' type='error'/>",
        "<x xmlns='jabber:x:data' type='form'/>",
        "<x xmlns='jabber:x:data' type='cancel'/>",
    ] {
        assert_eq!(refused(xml), FormError::NotAForm, "{xml}");
    }
    let fields = |fields: &str| refused(&format!("<x xmlns='jabber:x:data' type='submit'>{fields}</x>"));
    assert_eq!(fields("<field><value>a</value></field>"), FormError::Nameless);
    assert_eq!(fields("<field var='a'/><field var='b'/><field var='a'/>"), FormError::Duplicate("a".into()));
    assert_eq!(fields(&"<field var=''/>".repeat(2)), FormError::Nameless);
}

#[test]
fn limits_hold() {
    let parse = |limits: FormLimits| Form::parse(&element(SUBMITTED), &limits).map(|form| form.fields.len());
    let bytes: usize = {
        let form = Form::parse(&element(SUBMITTED), &LIMITS).unwrap();
        form.fields.iter().map(|field| field.var.len() + field.values.concat().len()).sum()
    };
    let exact = FormLimits { fields_max: 8, values_max: 12, bytes_max: bytes };
    assert_eq!(parse(exact), Ok(8));
    assert_eq!(parse(FormLimits { fields_max: 7, ..exact }), Err(FormError::TooLarge));
    assert_eq!(parse(FormLimits { values_max: 11, ..exact }), Err(FormError::TooLarge));
    assert_eq!(parse(FormLimits { bytes_max: bytes - 1, ..exact }), Err(FormError::TooLarge));
}

#[test]
fn submissions_are_held_against_the_form() {
    let check = |fields: &str, unknown: Unknown| {
        let xml = format!("<x xmlns='jabber:x:data' type='submit'>{fields}</x>");
        bot().check(&Form::parse_submission(&element(&xml), &LIMITS).unwrap(), unknown)
    };
    let public = "<field var='public'><value>1</value></field>";
    let with = |fields: &str| check(&format!("{public}{fields}"), Unknown::Refuse);
    assert_eq!(with(""), Ok(()));
    assert_eq!(with("<field var='FORM_TYPE'><value>jabber:bot</value></field>"), Ok(()));
    assert_eq!(with("<field var='FORM_TYPE'><value>a:b</value></field>"), Err(FormError::OtherType));
    // Required.
    assert_eq!(check("", Unknown::Ignore), Err(FormError::Missing("public".into())));
    assert_eq!(check("<field var='public'/>", Unknown::Ignore), Err(FormError::Missing("public".into())));
    assert_eq!(
        check("<field var='public'><value/></field>", Unknown::Ignore),
        Err(FormError::Missing("public".into()))
    );
    // Unknown.
    assert_eq!(with("<field var='colour'/>"), Err(FormError::Unknown("colour".into())));
    assert_eq!(check(&format!("{public}<field var='colour'/>"), Unknown::Ignore), Ok(()));
    // One value, or several.
    let two = |var: &str, value: &str| with(&format!("<field var='{var}'>{}</field>", value.repeat(2)));
    assert_eq!(two("botname", "<value>a</value>"), Err(FormError::TooManyValues("botname".into())));
    assert_eq!(two("password", "<value>a</value>"), Err(FormError::TooManyValues("password".into())));
    assert_eq!(two("maxsubs", "<value>20</value>"), Err(FormError::TooManyValues("maxsubs".into())));
    assert_eq!(two("description", "<value>a</value>"), Ok(()));
    assert_eq!(two("features", "<value>news</value>"), Ok(()));
    assert_eq!(two("invitelist", "<value>a@b</value>"), Ok(()));
    // Types.
    let one =
        |var: &str, value: &str| check(&format!("<field var='{var}'><value>{value}</value></field>"), Unknown::Ignore);
    assert_eq!(one("public", "yes"), Err(FormError::Invalid("public".into())));
    assert_eq!(one("public", "true"), Ok(()));
    let one = |var: &str, value: &str| with(&format!("<field var='{var}'><value>{value}</value></field>"));
    assert_eq!(one("invitelist", "a@b@c"), Err(FormError::Invalid("invitelist".into())));
    assert_eq!(one("features", "polls"), Err(FormError::Invalid("features".into())));
    assert_eq!(one("maxsubs", "20"), Ok(()));
    assert_eq!(one("maxsubs", ""), Ok(()));
    assert_eq!(one("maxsubs", "21"), Err(FormError::Invalid("maxsubs".into())));
    let open = Form::new(FormKind::Form).with_field(Field::new(FieldKind::ListSingle, "maxsubs").open());
    let submitted = Form::new(FormKind::Submit).with_field(Field::shown("maxsubs", "21"));
    assert_eq!(open.check(&submitted, Unknown::Refuse), Ok(()));
}

proptest! {
    #[test]
    fn fields_come_back(
        fields in prop::collection::btree_map("[a-z#{}]{1,8}", prop::collection::vec("[ -~é]{0,8}", 0..3), 0..5),
        kind in prop::sample::select(FieldKind::NAMES.to_vec()),
        is_required: bool,
    ) {
        prop_assume!(kind.0 != FieldKind::Fixed);
        let fields = fields.into_iter().map(|(var, values)| {
            Field { var, kind: Some(kind.0), label: Some("a 'b'".into()), is_required, values, ..Field::default() }
        });
        let form = Form { fields: fields.collect(), ..Form::new(FormKind::Submit) };
        prop_assert_eq!(Form::parse_submission(&element(&written(&form)), &LIMITS), Ok(form));
    }
}
